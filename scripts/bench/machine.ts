import { arch, cpus, loadavg, release, totalmem } from "node:os";
import type { Tool, ToolName } from "./tools.ts";

/** The machine of a run: figures of two machines are never compared. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly arch: string;
  /** Before the run: the load of other programs. */
  readonly loadAverage: readonly number[];
}

export function readMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    arch: arch(),
    loadAverage: loadavg(),
  };
}

/** Versions of all installed tools, by name. */
export function versionsOf(tools: ReadonlyMap<ToolName, Tool>): Readonly<Record<string, string>> {
  const found = [...tools].flatMap(([name, tool]): readonly (readonly [string, string])[] =>
    tool.kind === "found" ? [[name, tool.version]] : [],
  );
  return Object.fromEntries(found);
}

import { execFileSync } from "node:child_process";
import { join } from "node:path";
import * as z from "zod/mini";

const findingSchema = z.object({
  name: z.string(),
  /** `native`: Node has it. `added`: a worker has it all the same. */
  state: z.enum(["native", "added", "missing"]),
  /** Members that it lacks. */
  missing: z.array(z.string()),
  /** How it fails its test; `null`: it does not. */
  problem: z.nullable(z.string()),
});

/** The findings about one global. */
export type Finding = z.infer<typeof findingSchema>;

/** Runs the probe with a Node, and returns its findings. */
export function readResults(node: string): Finding[] {
  const root = join(import.meta.dirname, "../..");
  const probe = join(import.meta.dirname, "probe.ts");
  const out = execFileSync(node, ["--import", "tsx", probe], { cwd: root, encoding: "utf8" });
  return z.array(findingSchema).parse(JSON.parse(out.trim().split("\n").at(-1) ?? ""));
}

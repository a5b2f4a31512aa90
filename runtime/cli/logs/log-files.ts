import type { EffectiveConfig } from "../../config/list-effective.ts";
import type { EffectiveSetting } from "../../config/effective.ts";

/** A file with access lines. */
export interface LogFile {
  readonly path: string;
  /** Its lines are JSON. Lines of other forms cannot be filtered. */
  readonly isJson: boolean;
}

/**
 * Finds the files into which a server writes its access lines.
 *
 * @returns The reason if it writes none: for the end of the sentence "Cannot show the access log: found ...".
 */
export function findLogFiles({ settings, sites }: EffectiveConfig): LogFile[] | string {
  const all = [settings, ...sites.map((site) => [...site.settings, ...settings])];
  const files = new Map<string, LogFile>();
  let why = "that accessLog is off, expected it on or a file";
  for (const own of all) {
    const [target, format] = [valueOf(own, "accessLog"), valueOf(own, "accessLogFormat")];
    const general = valueOf(own, "logFile");
    if (target === "off") continue;
    const path = target === "on" ? general : target;
    if (path === "off") {
      why =
        'that the server writes it to its standard error, expected a file: the setting accessLog "access.log", or the program that keeps its output (journalctl, docker logs)';
      continue;
    }
    // Other lines of the general log are JSON, or text for terminals.
    const isJson = format === "json" && (target !== "on" || valueOf(own, "logFormat") !== "pretty");
    if (!files.has(path)) files.set(path, { path, isJson });
  }
  return files.size === 0 ? why : [...files.values()];
}

function valueOf(settings: readonly EffectiveSetting[], wanted: string): string {
  return settings.find(({ name }) => name === wanted)?.value ?? "off";
}

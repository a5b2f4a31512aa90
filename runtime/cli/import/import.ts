import { existsSync, rmSync, writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { findConfigFile } from "../../config/config-file.ts";
import { RuntimeError } from "../../lib/errors.ts";
import { addGunicorn } from "./import-gunicorn.ts";
import { importNginx } from "./import-nginx.ts";
import { bindsOf, readGunicorn } from "./read-gunicorn.ts";
import { readNginx } from "./read-nginx.ts";
import { type Remark, Report } from "./report.ts";
import { Section } from "./section.ts";
import { writeConfig } from "./write-config.ts";

/** Exit code of an import that left lines for the user. */
const EXIT_REMARKS = 1;

const CONFIG_FILE = "edgicorn.config.ts";

export interface ImportOptions {
  /** Config files of Nginx and of Gunicorn, and `MODULE:NAME` of the application, in any order. */
  words: readonly string[];
  /** Print the config and the remarks, and write nothing. */
  json: boolean;
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/** The result of an import, for the terminal. */
export interface ImportOutcome {
  text: string;
  exitCode: number;
}

/**
 * Makes a config file of those of Nginx and Gunicorn.
 *
 * @throws RuntimeError `ERR_CONFIG` for a file that cannot be read or understood, and if the folder has a config file.
 */
export async function runImport({ words, json, cwd, env }: ImportOptions): Promise<ImportOutcome> {
  const sources = sortWords(words, cwd);
  const existing = findConfigFile(cwd);
  if (existing !== null && !json) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot write ${CONFIG_FILE}: found ${basename(existing)}, expected a folder without a config file (--json prints instead)`,
    );
  }
  const report = new Report();
  const config = await convert(sources, { cwd, env, report });
  const { remarks } = report;
  const exitCode = remarks.length > 0 ? EXIT_REMARKS : 0;
  if (json) {
    return { text: `${JSON.stringify({ config, remarks }, null, 2)}\n`, exitCode };
  }
  const files = [sources.nginx, sources.gunicorn].filter((word) => word !== null);
  writeWhole(resolve(cwd, CONFIG_FILE), writeConfig(config, files));
  return { text: describe(remarks), exitCode };
}

async function convert(
  { nginx, gunicorn, app }: Sources,
  { cwd, env, report }: { cwd: string; env: NodeJS.ProcessEnv; report: Report },
): Promise<Section> {
  const python = env["EDGICORN_PYTHON"] ?? "python3";
  const settings =
    gunicorn === null ? null : await readGunicorn(resolve(cwd, gunicorn), { cwd, python });
  const config =
    nginx === null
      ? new Section()
      : importNginx(readNginx(resolve(cwd, nginx), { cwd, report }), {
          report,
          gunicornBinds: settings === null ? [] : bindsOf(settings),
        });
  if (settings !== null) {
    report.into(config, () =>
      addGunicorn(config, settings, { report, app, hasNginx: nginx !== null }),
    );
  } else if (app !== null) config.set("app", app);
  return config;
}

/** Writes a new file, or nothing. */
function writeWhole(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: "wx" });
  } catch (cause) {
    // A full disk leaves a part of the file.
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
    if (code !== "EEXIST") rmSync(file, { force: true });
    throw new RuntimeError("ERR_CONFIG", `Cannot write ${basename(file)}: ${code}`, { cause });
  }
}

function describe(remarks: readonly Remark[]): string {
  const lines = remarks.map(
    ({ place, line, reason, kind }) => `${LABELS[kind]} ${place} ${line}\n        ${reason}`,
  );
  const count = remarks.length === 1 ? "1 line needs" : `${remarks.length} lines need`;
  return [
    `created ${CONFIG_FILE}`,
    ...(remarks.length === 0
      ? ["every line is carried over"]
      : ["", ...lines, "", `${count} a look: comments in ${CONFIG_FILE} have them, too`]),
    "",
    "Next:",
    "  npx edgicorn check",
    "",
  ].join("\n");
}

const LABELS: Readonly<Record<Remark["kind"], string>> = {
  lost: "lost   ",
  changed: "changed",
  todo: "to do  ",
};

interface Sources {
  nginx: string | null;
  gunicorn: string | null;
  app: string | null;
}

function sortWords(words: readonly string[], cwd: string): Sources {
  const sorted: Sources = { nginx: null, gunicorn: null, app: null };
  for (const word of words) {
    const isApp = /^[\w.]+:[\w.]+(?:\(.*\))?$/.test(word) && !existsSync(resolve(cwd, word));
    const kind = word.endsWith(".py") ? "gunicorn" : isApp ? "app" : "nginx";
    if (sorted[kind] !== null) {
      throw new RuntimeError(
        "ERR_CONFIG",
        `Cannot import ${word}: found ${sorted[kind]} before it, expected one ${EXPECTED[kind]}`,
      );
    }
    sorted[kind] = word;
  }
  if (sorted.nginx === null && sorted.gunicorn === null) {
    throw new RuntimeError(
      "ERR_CONFIG",
      "Cannot import: found no file, expected nginx.conf, gunicorn.conf.py or both",
    );
  }
  return sorted;
}

const EXPECTED = {
  nginx: "config file of Nginx, which includes others",
  gunicorn: "config file of Gunicorn",
  app: "application",
} as const;

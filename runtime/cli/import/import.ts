import { existsSync, writeFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { findConfigFile } from "../../config/config-file.ts";
import { RuntimeError } from "../../lib/errors.ts";
import { addGunicorn, bindsOf, readGunicorn } from "./import-gunicorn.ts";
import { importNginx } from "./import-nginx.ts";
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
  const { nginx, gunicorn, app } = sortWords(words);
  const existing = findConfigFile(cwd);
  if (existing !== null && !json) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot write ${CONFIG_FILE}: found ${basename(existing)}, expected a folder without a config file (--json prints instead)`,
    );
  }
  const report = new Report();
  const settings =
    gunicorn === null
      ? null
      : await readGunicorn(resolve(cwd, gunicorn), {
          cwd,
          python: env["EDGICORN_PYTHON"] ?? "python3",
        });
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
  const sources = [nginx, gunicorn].filter((word) => word !== null);
  const { remarks } = report;
  const exitCode = remarks.length > 0 ? EXIT_REMARKS : 0;
  if (json) {
    return { text: `${JSON.stringify({ config, remarks }, null, 2)}\n`, exitCode };
  }
  writeFileSync(resolve(cwd, CONFIG_FILE), writeConfig(config, sources), { flag: "wx" });
  return { text: describe(remarks), exitCode };
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

function sortWords(words: readonly string[]): {
  nginx: string | null;
  gunicorn: string | null;
  app: string | null;
} {
  const sorted: { nginx: string | null; gunicorn: string | null; app: string | null } = {
    nginx: null,
    gunicorn: null,
    app: null,
  };
  for (const word of words) {
    const kind = word.endsWith(".py")
      ? "gunicorn"
      : /^[\w.]+:[\w.()]+$/.test(word) && !existsSync(word)
        ? "app"
        : "nginx";
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

import { existsSync } from "node:fs";
import { basename, resolve } from "node:path";
import { findConfigFile } from "../../config/config-file.ts";
import { RuntimeError } from "../../lib/errors.ts";
import { addGunicorn } from "./import-gunicorn.ts";
import { importNginx } from "./import-nginx.ts";
import { bindsOf, readGunicorn } from "./read-gunicorn.ts";
import { readNginx } from "./read-nginx.ts";
import { type Remark, Report } from "./report.ts";
import { Section } from "./section.ts";
import { importWrangler } from "./wrangler/import-wrangler.ts";
import { writeConfig } from "./write-config.ts";
import { finishImport, type ImportOutcome, type NewFile, writeFiles } from "./write-files.ts";

/** Exit code of an import that left lines for the user. */
const EXIT_REMARKS = 1;

const CONFIG_FILE = "edgicorn.config.ts";

export interface ImportOptions {
  /**
   * Config files of Nginx and of Gunicorn, and `MODULE:NAME` of the application, in any order; or the file of a project for
   * Workers.
   */
  words: readonly string[];
  /** Name of an environment in the file of a project for Workers; `null`: the top of the file. */
  environment: string | null;
  /** Print the config and the remarks, and write nothing. */
  json: boolean;
  cwd: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Makes a config file of those of Nginx and Gunicorn, or a config file and handlers of the file of a project for Workers.
 *
 * @throws RuntimeError `ERR_CONFIG` for a file that cannot be read or understood, and if the folder has a config file.
 */
export async function runImport({
  words,
  environment,
  json,
  cwd,
  env,
}: ImportOptions): Promise<ImportOutcome> {
  const sources = sortWords(words, cwd);
  if (environment !== null && sources.wrangler === null) {
    throw new RuntimeError(
      "ERR_CONFIG",
      "Cannot use --env: found no wrangler.toml or wrangler.jsonc, expected the file that has the environment",
    );
  }
  const finished = json ? null : finishImport(cwd);
  if (finished !== null) {
    const text = `finished an import that was cut off, and read no file again\n${finished.text}`;
    return { text, exitCode: finished.exitCode };
  }
  const existing = findConfigFile(cwd);
  if (existing !== null && !json) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot write ${CONFIG_FILE}: found ${basename(existing)}, expected a folder without a config file (--json prints instead)`,
    );
  }
  const report = new Report();
  const { config, files } =
    sources.wrangler === null
      ? { config: await convert(sources, { cwd, env, report }), files: [] }
      : await convertWorkers(sources.wrangler, { cwd, environment, report });
  const { remarks } = report;
  const exitCode = remarks.some(({ kind }) => kind !== "unused") ? EXIT_REMARKS : 0;
  if (json) {
    // Secrets stay where they are.
    const shown = files.filter(({ isSecret }) => isSecret !== true);
    const handlers = Object.fromEntries(shown.map(({ path, text }) => [path, text]));
    const found = { config, ...(sources.wrangler !== null && { handlers }), remarks };
    return { text: `${JSON.stringify(found, null, 2)}\n`, exitCode };
  }
  const read = [sources.nginx, sources.gunicorn, sources.wrangler].filter((word) => word !== null);
  // A start with the config and without its handlers fails. Without the config it would serve other files.
  const written = [{ path: CONFIG_FILE, text: writeConfig(config, read) }, ...files];
  const outcome = { text: describe(remarks, written), exitCode };
  writeFiles(cwd, written, outcome);
  return outcome;
}

async function convertWorkers(
  word: string,
  options: { cwd: string; environment: string | null; report: Report },
): Promise<{ config: Section; files: NewFile[] }> {
  const { config, handlers, secrets } = await importWrangler(word, options);
  const files = [
    ...[...secrets].map(([path, text]): NewFile => ({ path, text, isSecret: true })),
    ...[...handlers].map(([path, text]): NewFile => ({ path, text })),
  ];
  return { config, files };
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

function describe(remarks: readonly Remark[], files: readonly NewFile[]): string {
  const lines = remarks.map(
    ({ place, line, reason, kind }) => `${LABELS[kind]} ${place} ${line}\n        ${reason}`,
  );
  const open = remarks.filter(({ kind }) => kind !== "unused").length;
  const count = open === 1 ? "1 line needs" : `${open} lines need`;
  return [
    ...files.map(({ path }) => `created ${path}`),
    ...(open === 0 ? ["every line is carried over"] : []),
    ...(lines.length === 0 ? [] : ["", ...lines]),
    ...(open === 0 ? [] : ["", `${count} a look: comments in ${CONFIG_FILE} have them, too`]),
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
  unused: "unused ",
};

interface Sources {
  nginx: string | null;
  gunicorn: string | null;
  app: string | null;
  wrangler: string | null;
}

function sortWords(words: readonly string[], cwd: string): Sources {
  const sorted: Sources = { nginx: null, gunicorn: null, app: null, wrangler: null };
  for (const word of words) {
    const isApp = /^[\w.]+:[\w.]+(?:\(.*\))?$/.test(word) && !existsSync(resolve(cwd, word));
    const isWrangler = /\.(?:toml|jsonc?)$/.test(word);
    const kind = isWrangler
      ? "wrangler"
      : word.endsWith(".py")
        ? "gunicorn"
        : isApp
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
  if (sorted.wrangler !== null) {
    const other = words.find((word) => word !== sorted.wrangler);
    if (other === undefined) return sorted;
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot import ${other}: found ${sorted.wrangler} beside it, expected the file of a project for Workers alone`,
    );
  }
  if (sorted.nginx === null && sorted.gunicorn === null) {
    throw new RuntimeError(
      "ERR_CONFIG",
      "Cannot import: found no file, expected nginx.conf, gunicorn.conf.py or both, or wrangler.toml or wrangler.jsonc",
    );
  }
  return sorted;
}

const EXPECTED = {
  nginx: "config file of Nginx, which includes others",
  gunicorn: "config file of Gunicorn",
  app: "application",
  wrangler: "file of a project for Workers",
} as const;

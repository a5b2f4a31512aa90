import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { codeOf, RuntimeError } from "../../../lib/errors.ts";
import { pickNearest } from "../../../lib/nearest.ts";
import { REPLACEMENTS } from "../../wrangler-bindings.ts";
import type { Report } from "../report.ts";
import { Section } from "../section.ts";
import { ASSET_CARRIERS } from "./carry-assets.ts";
import { BINDING_CARRIERS, reportLostBindings, reportLostKey } from "./carry-bindings.ts";
import { PAGES_CARRIERS } from "./carry-pages.ts";
import { SERVER_CARRIERS } from "./carry-server.ts";
import { TRIGGER_CARRIERS } from "./carry-triggers.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import { chooseEnvironment } from "./choose-environment.ts";
import { findOthers } from "./find-others.ts";
import type { Item } from "./item.ts";
import { readRoutes } from "./read-routes.ts";
import { addSecrets } from "./read-secrets.ts";
import { readWrangler } from "./read-wrangler.ts";
import { BINDING_KEYS, LOST, TOP_LEVEL_ONLY, UNUSED } from "./wrangler-keys.ts";
import { type HandlerDraft, writeHandlers } from "./write-handlers.ts";

export interface WranglerImportOptions {
  /** Folder of the new config. */
  cwd: string;
  /** Name of the environment; `null`: the top of the file. */
  environment: string | null;
  report: Report;
}

/** The result of an import of a project for Workers. Nothing is written yet. */
export interface WranglerImport {
  config: Section;
  /** Modules, by their paths from the folder of the config. */
  handlers: ReadonlyMap<string, string>;
  /** Files of secrets, likewise. */
  secrets: ReadonlyMap<string, string>;
}

/**
 * Makes the config and the handlers that run a project for Workers.
 *
 * @param word Its `wrangler.toml`, `wrangler.json` or `wrangler.jsonc`, relative to `cwd`.
 * @throws RuntimeError `ERR_CONFIG` for a file that cannot be read, and for a value of another form, with its line.
 */
export async function importWrangler(
  word: string,
  { cwd, environment, report }: WranglerImportOptions,
): Promise<WranglerImport> {
  const path = resolve(cwd, word);
  const text = readWhole(path, word);
  const root = await readWrangler(text, word);
  const keys = chooseEnvironment(root, { name: environment, report });
  const config = new Section();
  const draft: HandlerDraft = {
    schedules: [],
    queues: [],
    others: new Map(),
    first: { paths: [], never: [], isOnly: false },
    hasPages: false,
    assets: null,
  };
  const places = { cwd, folder: dirname(path), environment };
  const routes = await readRoutes(keys, places);
  const others = await findOthers(keys, places);
  const carrying: Carrying = { config, report, keys, draft, places, routes, others };
  const main = findMain(root, carrying);
  return report.into(config, () => {
    for (const [key, item] of keys) carryKey(key, item, carrying);
    const secrets = addSecrets(carrying);
    // Else the server would serve it, as its default.
    if (config.get("public") === undefined && existsSync(join(cwd, "public"))) {
      config.set("public", false);
    }
    const folder = pickFolder(cwd);
    // A server with sites may have no handlers, unless the config names their folder.
    const hasSites = draft.others.size > 0 || existsSync(join(cwd, "sites"));
    if (folder !== "handlers" || hasSites) config.set("handlers", folder);
    const handlers =
      main === null
        ? // The server does not start without the folder.
          new Map([[`${folder}/.gitkeep`, ""]])
        : writeHandlers(draft, { folder, main, source: word });
    return { config, handlers, secrets };
  });
}

function readWhole(path: string, word: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new RuntimeError("ERR_CONFIG", `Cannot read ${word}: ${codeOf(cause)}`, { cause });
  }
}

const CARRIERS: Readonly<Record<string, CarryKey>> = {
  ...BINDING_CARRIERS,
  ...TRIGGER_CARRIERS,
  ...ASSET_CARRIERS,
  ...PAGES_CARRIERS,
  ...SERVER_CARRIERS,
  // Other parts of the import read them.
  $schema: () => {},
  compatibility_flags: (item, { report }) => {
    if (item.texts().length > 0) report.unused(item.where, UNUSED["compatibility_date"] ?? "");
  },
  main: () => {},
  name: () => {},
  secrets: () => {},
};

function carryKey(key: string, item: Item, carrying: Carrying): void {
  if (item.content === null) return;
  const carry = Object.hasOwn(CARRIERS, key) ? CARRIERS[key] : undefined;
  if (carry !== undefined) carry(item, carrying);
  else if (Object.hasOwn(UNUSED, key)) carrying.report.unused(item.where, UNUSED[key] ?? "");
  else if (!reportLostKey(key, item, carrying) && !reportLostBindings(key, item, carrying)) {
    const near = pickNearest(key, KNOWN_KEYS);
    const hint = near === null ? "" : `: did you mean ${near}?`;
    carrying.report.lost(item.where, `this key is not known${hint}`);
  }
}

const KNOWN_KEYS = [
  ...new Set([
    ...Object.keys({ ...CARRIERS, ...UNUSED, ...LOST, ...REPLACEMENTS }),
    ...BINDING_KEYS,
    ...TOP_LEVEL_ONLY,
  ]),
];

const EXTENSIONS = [".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".cjs"];

/** Returns the module of the project, from the folder of the config; `null`: it only has files. */
function findMain(root: Item, { keys, places, report }: Carrying): string | null {
  const main = keys.get("main");
  if (main === undefined || main.content === null) {
    if (keys.has("assets") || keys.has("pages_build_output_dir")) return null;
    throw root.refusal('main, such as main = "src/index.ts", or assets', "no key main");
  }
  const path = resolve(places.folder, main.text());
  if (!EXTENSIONS.includes(extname(path))) {
    const isPython = extname(path) === ".py";
    throw main.refusal(
      isPython
        ? "a module of JavaScript or TypeScript: for Python see docs/python.md"
        : `a file that ends with ${EXTENSIONS.join(", ")}`,
      JSON.stringify(main.text()),
    );
  }
  if (!existsSync(path)) {
    const isBuilt = keys.get("build")?.table().has("command") ?? false;
    if (!isBuilt) throw main.refusal("a file that is there", JSON.stringify(main.text()));
    report.todo(main.where, "there is no such file yet: build the project first");
  } else if (isOldForm(readWhole(path, main.text()))) {
    report.todo(main.where, "write `export default { fetch }` in place of addEventListener");
  }
  return relative(places.cwd, path).split(sep).join("/");
}

/** Whether a module listens for requests, and exports nothing. */
function isOldForm(source: string): boolean {
  return /\baddEventListener\(\s*["']fetch["']/.test(source) && !/\bexport\b/.test(source);
}

/** Returns the folder for handlers: another one if the project has one of the usual name. */
function pickFolder(cwd: string): string {
  const free = ["handlers", "edgicorn-handlers"].find((name) => !existsSync(join(cwd, name)));
  if (free !== undefined) return free;
  throw new RuntimeError(
    "ERR_CONFIG",
    "Cannot write handlers: found the folders handlers and edgicorn-handlers, expected one of them to be free",
  );
}

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { describe, it } from "node:test";
import { ImportGraph, readImports } from "../scripts/import-graph.ts";

const RUNTIME = join(import.meta.dirname, "../runtime");

/** Import rules, as the page `runtime/README.md` states them. */
interface Rules {
  /** By folder: folders that its files may import; `null`: all. */
  folders: Map<string, readonly string[] | null>;
  /** Folders, with a slash, that every file may import. */
  shared: Set<string>;
  /** Files whose types every file may import. */
  sharedTypes: Set<string>;
  /** Files and folders that may import everything. */
  wiring: Set<string>;
}

interface Import {
  from: string;
  to: string;
  isType: boolean;
}

/** Names in backticks, with `.ts` where the name has no ending. Folders end with a slash. */
function quotedNames(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
}

function toFile(name: string): string {
  return /\.ts$|\/$/.test(name) ? name : `${name}.ts`;
}

function readRules(page: string): Rules {
  const folders = new Map<string, readonly string[] | null>();
  for (const [, names = "", imports = ""] of page.matchAll(
    /^\| (`[^|]+?`) +\|[^|]+\| ([^|]*)\|$/gm,
  )) {
    const allowed = imports.trim() === "everything" ? null : quotedNames(imports);
    for (const name of quotedNames(names)) {
      if (name.endsWith("/")) folders.set(name.slice(0, -1), allowed);
    }
  }
  const [, shared = "", types = "", wiring = ""] =
    /\n([^\n]+?) may be imported from everywhere; types of ([^]+?) too\.\s+Only ([^]+?) may import every room/.exec(
      page,
    ) ?? [];
  return {
    folders,
    shared: new Set(quotedNames(shared).map(toFile)),
    sharedTypes: new Set(quotedNames(types).map(toFile)),
    wiring: new Set(quotedNames(wiring).map(toFile)),
  };
}

function readRuntimeImports(): Import[] {
  const files = readdirSync(RUNTIME, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return files.flatMap((from) =>
    readImports(join(RUNTIME, from)).map(({ specifier, file, isType }) => ({
      from: slashes(from),
      to: file === null ? specifier : slashes(relative(RUNTIME, file)),
      isType,
    })),
  );
}

function slashes(path: string): string {
  return path.split(sep).join("/");
}

/** The first folder of a path, or the name of a file that lies loose. */
function roomOf(file: string): string {
  return file.split("/")[0]?.replace(/\.ts$/, "") ?? file;
}

function isAllowed({ from, to, isType }: Import, rules: Rules): boolean {
  if (to === "../package.json") return true;
  const room = roomOf(from);
  const target = roomOf(to);
  if (target === room || rules.shared.has(`${target}/`)) return true;
  if (isType && rules.sharedTypes.has(to)) return true;
  if (rules.wiring.has(from) || rules.wiring.has(`${room}/`)) return true;
  const allowed = rules.folders.get(room);
  return allowed === null || allowed?.includes(target) === true;
}

describe("imports of runtime/", () => {
  const rules = readRules(readFileSync(join(RUNTIME, "README.md"), "utf8"));
  const imports = readRuntimeImports();
  const own = imports.filter(({ to }) => to.endsWith(".ts"));

  it("reads a table with rows for all folders, and folders for all rows", () => {
    const rooms = readdirSync(RUNTIME, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .filter((name) => name !== "decisions");
    assert.deepEqual([...rules.folders.keys()].toSorted(), rooms.toSorted());
    assert.ok(rules.shared.size > 0 && rules.sharedTypes.size > 0 && rules.wiring.size > 0);
  });

  it("follows the import table of runtime/README.md", () => {
    const wrong = own
      .filter((found) => !isAllowed(found, rules))
      .map(({ from, to }) => `${from} imports ${to}`);
    assert.deepEqual(wrong, []);
  });

  it("allows nothing that no file imports", () => {
    const used = new Set(own.map(({ from, to }) => `${roomOf(from)} ${roomOf(to)}`));
    const unused = [...rules.folders].flatMap(([room, allowed]) =>
      (allowed ?? [])
        .filter((target) => !used.has(`${room} ${target}`))
        .map((target) => `${room} may import ${target}`),
    );
    assert.deepEqual(unused, []);
  });

  it("keeps uWebSockets.js to the front door", () => {
    const importers = imports
      .filter(({ to }) => /uwebsockets/i.test(to) && !to.endsWith(".ts"))
      .map(({ from }) => from.split("/").slice(0, 2).join("/"));
    assert.deepEqual([...new Set(importers)], ["engine/uws"]);
  });

  it("loads a drill, and the maker of certificates, only for their use", () => {
    const graph = new ImportGraph();
    const roots = ["cli/run.ts", "server/start.ts", "server/open.ts", "primary.ts"].map((name) =>
      join(RUNTIME, name),
    );
    const started = new Set(
      roots.flatMap((file) => [...graph.reachedFrom(file, { atOnce: true })]),
    );
    const rare = [...started]
      .map((file) => slashes(relative(RUNTIME, file)))
      // The help names the exercises.
      .filter((file) => file.startsWith("drill/") || file === "tls/sign-certificate.ts");
    assert.ok(started.size > 100, `${started.size} files`);
    assert.deepEqual(rare, ["drill/exercise-names.ts"]);
  });

  it("finds a forbidden import when there is one", () => {
    assert.equal(
      isAllowed({ from: "engine/a.ts", to: "worker/b.ts", isType: false }, rules),
      false,
    );
    assert.equal(isAllowed({ from: "engine/a.ts", to: "primary.ts", isType: false }, rules), false);
  });
});

import type { Node } from "jsonc-parser";

/** A value of `env` that a project for Workers declares. */
export interface WranglerBinding {
  /** The key of Workers' file: `kv_namespaces`. */
  kind: string;
  /** Its name in `env`. */
  name: string;
  /** Line of the file, from 1. */
  line: number;
}

/** How this server declares the kinds that it has: the text after the name. */
const DECLARATIONS: Readonly<Record<string, (name: string) => string>> = {
  assets: () => "{ assets: true }",
  vars: () => '"its text"',
  kv_namespaces: (name) => `{ kv: ${JSON.stringify(name.toLowerCase())} }`,
  queues: (name) => `{ queue: ${JSON.stringify(name.toLowerCase())} }`,
  ratelimits: () => '{ rateLimit: { limit: 100, period: "60s" } }',
  services: () => '{ service: "NAME-OF-ITS-SITE" }',
};

/** Kinds that this server does not have, and how handlers do the same. */
export const REPLACEMENTS: Readonly<Record<string, string>> = {
  ai: "the client of a service",
  ai_search: "the client of a service",
  ai_search_namespaces: "the client of a service",
  analytics_engine_datasets: "metrics or a database",
  artifacts: "the client of a service",
  browser: "a package such as puppeteer",
  d1_databases: "the client of a database",
  dispatch_namespaces: "sites",
  durable_objects: "a binding such as { kv }, { counter } or { lock }, or topics of WebSockets",
  flagship: "the client of a service",
  hyperdrive: "the client of the database",
  images: "a package such as sharp",
  media: "the client of a service",
  mtls_certificates: "fetch() of undici with a certificate",
  pipelines: "the client of a service",
  r2_buckets: "the client of an object store",
  secrets_store_secrets: 'a binding such as { secret: "FILE" }, which is a text',
  send_email: "a package such as nodemailer",
  stream: "the client of a service",
  unsafe_hello_world: "a text in bindings",
  vectorize: "the client of a database",
  version_metadata: "a value such as { json: { id, tag, timestamp } }",
  vpc_networks: "fetch() of the address",
  vpc_services: "fetch() of the address",
  worker_loaders: "import()",
  workflows: "scheduled()",
};

const KINDS = new Set([...Object.keys(DECLARATIONS), ...Object.keys(REPLACEMENTS)]);

/**
 * Describes the bindings of a project for Workers that `env` does not have here, one line each: `wrangler.toml:12: message`.
 *
 * @param options.file The file's name for messages.
 * @param options.names The names that `env` has.
 */
export function describeLostBindings(
  bindings: readonly WranglerBinding[],
  { file, names }: { file: string; names: ReadonlySet<string> },
): string[] {
  return bindings
    .filter(({ name }) => !names.has(name))
    .map(({ kind, name, line }) => {
      const declare = DECLARATIONS[kind];
      const remedy =
        declare === undefined
          ? `this server has no such binding, expected ${REPLACEMENTS[kind] ?? "another way"}`
          : `found no binding of this name, expected bindings: { ${name}: ${declare(name)} } in the config file`;
      return `${file}:${line}: env.${name} (${kind}) is undefined: ${remedy}`;
    });
}

/** Finds the bindings in the tree of a `wrangler.json` or `wrangler.jsonc`. Environments by name (`env`) are left out. */
export function findInJson(tree: Node | undefined, text: string): WranglerBinding[] {
  return propertiesOf(tree).flatMap(([kind, value]) => {
    if (!KINDS.has(kind)) return [];
    const found =
      kind === "vars"
        ? propertiesOf(value).map(([name, node]) => ({ name, offset: node.offset }))
        : findNames(value);
    return found.map(({ name, offset }) => ({ kind, name, line: lineAt(text, offset) }));
  });
}

/** Returns the names below a node: strings called `binding`, or `name` in Durable Objects, limits and mail. */
function findNames(node: Node): { name: string; offset: number }[] {
  const own = propertiesOf(node);
  const named = own.find(([key]) => key === "binding") ?? own.find(([key]) => key === "name");
  const value: unknown = named?.[1].value;
  if (named !== undefined && typeof value === "string") {
    return [{ name: value, offset: named[1].offset }];
  }
  const children = node.type === "array" ? (node.children ?? []) : own.map(([, child]) => child);
  return children.filter(({ type }) => type === "object" || type === "array").flatMap(findNames);
}

function propertiesOf(node: Node | undefined): [key: string, value: Node][] {
  if (node?.type !== "object") return [];
  return (node.children ?? []).flatMap(({ children }): [string, Node][] => {
    const [key, value] = children ?? [];
    const name: unknown = key?.value;
    return typeof name === "string" && value !== undefined ? [[name, value]] : [];
  });
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

/**
 * Finds the bindings in a `wrangler.toml`, by its lines: tables, arrays of tables, and inline tables on one or several lines.
 * Environments by name (`[env.staging]`) are left out.
 */
export function findInToml(text: string): WranglerBinding[] {
  const found: WranglerBinding[] = [];
  // The kind of a table counts until the next table, that of a key until the next key.
  let table: string | null = null;
  let key: string | null = null;
  let depth = 0;
  for (const [index, whole] of text.split("\n").entries()) {
    const line = withoutComment(whole);
    const header = depth === 0 ? /^\s*\[\[?\s*([\w.-]+)\s*\]\]?\s*$/.exec(line)?.[1] : undefined;
    if (header !== undefined) {
      table = header;
      key = null;
      continue;
    }
    const own = depth === 0 ? /^\s*(\w+)\s*=/.exec(line)?.[1] : undefined;
    if (own !== undefined) key = own;
    depth += countBrackets(line);
    const kind = table === null ? key : (table.split(".")[0] ?? null);
    if (kind === null || !KINDS.has(kind)) continue;
    if (kind === "vars") {
      const names = table === "vars" ? (own === undefined ? [] : [own]) : inlineKeys(line);
      found.push(...names.map((name) => ({ kind, name, line: index + 1 })));
      continue;
    }
    const isByName =
      !/\bbinding\s*=/.test(line) && /^(?:durable_objects|ratelimits|send_email)$/.test(kind);
    const names = line.matchAll(
      isByName ? /\bname\s*=\s*["']([^"']+)["']/g : /\bbinding\s*=\s*["']([^"']+)["']/g,
    );
    for (const [, name = ""] of names) found.push({ kind, name, line: index + 1 });
  }
  return found;
}

/** Returns the keys of `vars = { A = "1" }`. */
function inlineKeys(line: string): string[] {
  const bare = line.replaceAll(QUOTED, "");
  return [...bare.matchAll(/[{,]\s*(\w+)\s*=/g)].map(([, name = ""]) => name);
}

const QUOTED = /"(?:\\.|[^"\\])*"|'[^']*'/g;

function withoutComment(line: string): string {
  const hash = line.replaceAll(QUOTED, (text) => "x".repeat(text.length)).indexOf("#");
  return hash < 0 ? line : line.slice(0, hash);
}

function countBrackets(line: string): number {
  const bare = line.replaceAll(QUOTED, "");
  return (bare.match(/[[{]/g)?.length ?? 0) - (bare.match(/[\]}]/g)?.length ?? 0);
}

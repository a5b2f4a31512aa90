import { BINDING_NAME } from "./import/wrangler/set-binding.ts";
import { isItems, isTable, type Item } from "./import/wrangler/item.ts";

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
      if (!BINDING_NAME.test(name)) {
        const shown = JSON.stringify(name);
        return `${file}:${line}: env[${shown}] (${kind}) is undefined: this server has no such name, expected letters, digits and underscores`;
      }
      const remedy =
        declare === undefined
          ? `this server has no such binding, expected ${REPLACEMENTS[kind] ?? "another way"}`
          : `found no binding of this name, expected bindings: { ${name}: ${declare(name)} } in the config file`;
      return `${file}:${line}: env.${name} (${kind}) is undefined: ${remedy}`;
    });
}

/** Finds the bindings in the content of a file of Workers. Environments by name (`env`) are left out. */
export function findBindings({ content }: Item): WranglerBinding[] {
  if (!isTable(content)) return [];
  return [...content].flatMap(([kind, item]) => {
    if (!KINDS.has(kind)) return [];
    const found = kind === "vars" ? listMembers(item) : findNames(item);
    return found.map(([name, { line }]) => ({ kind, name, line }));
  });
}

function listMembers({ content }: Item): [name: string, item: Item][] {
  return isTable(content) ? [...content] : [];
}

/** Returns the names below an item: texts called `binding`, or `name` in Durable Objects, limits and mail. */
function findNames(item: Item): [name: string, item: Item][] {
  const { content } = item;
  if (isItems(content)) return content.flatMap(findNames);
  if (!isTable(content)) return [];
  const named = content.get("binding") ?? content.get("name");
  if (typeof named?.content === "string") return [[named.content, named]];
  return [...content.values()].flatMap(findNames);
}

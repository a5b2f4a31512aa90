import type { Environment, Fetcher } from "../api.ts";
import type { BindingValue, WorkerBindings } from "../lib/binding-settings.ts";
import { openStore } from "../stores/open-store.ts";
import type { Store } from "../stores/store.ts";
import { createCounter } from "./counter.ts";
import { createKvNamespace } from "./kv-namespace.ts";
import { createLocks } from "./lock.ts";
import { createQueueProducer } from "./queue-producer.ts";
import { createRateLimiter } from "./rate-limiter.ts";

/** The bindings of a worker. */
export interface OpenBindings {
  /** Returns `env` for the handlers of a site; `""`: the default one; `null`: without the bindings of single sites. */
  envOf(site: string | null): Environment;
  close(): Promise<void>;
}

/** Values that the worker itself creates. */
export interface WorkerValues {
  /** Creates a binding that calls handlers of a site, or asks for its files; `site` is `null` for the site of the caller. */
  createFetcher(binding: { name: string; use: "service" | "assets"; site: string | null }): Fetcher;
}

/**
 * Opens the stores that the bindings of this worker use, and creates `env`. A binding wins over a variable of the same name.
 *
 * @throws StoreError when a store cannot be opened.
 */
export async function openBindings(
  settings: WorkerBindings,
  { variables, worker }: { variables: NodeJS.ProcessEnv; worker: WorkerValues },
): Promise<OpenBindings> {
  const stores = new Map<string, Store>();
  try {
    for (const setting of settings.stores) {
      // oxlint-disable-next-line no-await-in-loop -- Few, and each takes a few milliseconds.
      stores.set(setting.name, await openStore(setting, settings.dir));
    }
  } catch (error) {
    await closeAll(stores);
    throw error;
  }
  const storeOf = (name: string): Store => {
    const store = stores.get(name);
    if (store !== undefined) return store;
    throw new TypeError(`Cannot open bindings: found no store ${name}`);
  };
  const values = settings.bindings.map(({ name, sites, value }) => ({
    name,
    sites,
    value: createValue(value, { name, storeOf, worker }),
  }));
  const base = pickVariables(variables, settings.variables);
  const envOf = (site: string | null): Environment => {
    const own = values.filter(
      ({ sites }) => sites === null || (site !== null && sites.includes(site || "default")),
    );
    const env = Object.assign(Object.create(null) as object, base, toObject(own));
    // Names that a project declares have the types of its declaration.
    return Object.freeze(env) as Environment;
  };
  return { envOf, close: () => closeAll(stores) };
}

async function closeAll(stores: ReadonlyMap<string, Store>): Promise<void> {
  await Promise.all([...stores.values()].map((store) => store.close()));
}

function createValue(
  value: BindingValue,
  parts: { name: string; storeOf: (name: string) => Store; worker: WorkerValues },
): unknown {
  const { name, storeOf, worker } = parts;
  switch (value.kind) {
    case "service":
    case "assets":
      return worker.createFetcher({ name, use: value.kind, site: value.site });
    case "var":
      return value.text;
    case "json":
      return value.data;
    case "secret":
      return value.secret;
    case "kv":
      return createKvNamespace(storeOf(value.store), { space: `kv:${value.space}` });
    case "counter":
      return createCounter(storeOf(value.store), { space: `counter:${value.space}` });
    case "lock":
      return createLocks(storeOf(value.store), { space: `lock:${value.space}` });
    case "queue":
      return createQueueProducer(storeOf(value.store), {
        name: value.space,
        mostMessages: value.limit,
      });
    case "rateLimit": {
      const { limit, periodMs } = value;
      const space = `limit:${value.space}:${periodMs}`;
      return createRateLimiter(storeOf(value.store), { space, limit, periodMs });
    }
  }
}

/** Returns the variables that `env` has. A name with `*` at its end stands for all that begin so. */
function pickVariables(
  variables: NodeJS.ProcessEnv,
  names: readonly string[] | null,
): NodeJS.ProcessEnv {
  if (names === null) return variables;
  const isListed = (name: string): boolean =>
    names.some((each) => (each.endsWith("*") ? name.startsWith(each.slice(0, -1)) : each === name));
  return Object.fromEntries(Object.entries(variables).filter(([name]) => isListed(name)));
}

function toObject(values: readonly { name: string; value: unknown }[]): Record<string, unknown> {
  return Object.fromEntries(values.map(({ name, value }) => [name, value]));
}

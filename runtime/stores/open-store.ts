import { join } from "node:path";
import type { StoreSetting } from "../lib/binding-settings.ts";
import type { Store } from "./store.ts";

/** Longest wait for a write to an embedded store. */
const EMBEDDED_TIMEOUT_MS = 10_000;

/**
 * Opens a store. Loads the code of its kind only.
 *
 * @param dir Absolute path of the folder of the embedded stores.
 */
export async function openStore(setting: StoreSetting, dir: string): Promise<Store> {
  if (setting.kind === "redis") {
    const { createRedisStore } = await import("./redis-store.ts");
    return createRedisStore(setting);
  }
  const { openEmbeddedStore } = await import("./embedded-store.ts");
  return openEmbeddedStore({
    path: join(dir, `${setting.name}.lmdb`),
    durability: setting.durability,
    timeoutMs: EMBEDDED_TIMEOUT_MS,
  });
}

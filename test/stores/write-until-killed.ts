import { openEmbeddedStore } from "../../runtime/stores/embedded-store.ts";

// Writes 20 keys in turn and reports each write that was acknowledged: [key, number].
const [, , path = "", name = ""] = process.argv;
const store = await openEmbeddedStore({
  path,
  durability: "process",
  timeoutMs: 60_000,
});
const writeAll = async (slot: number): Promise<never> => {
  for (let number = slot; ; number += 20) {
    const key = `${name}-${slot}`;
    // oxlint-disable-next-line no-await-in-loop -- Each write is acknowledged before the next.
    await store.put("a", key, { value: Buffer.from(String(number)), metadata: null, expiresMs: 0 });
    process.send?.([key, number]);
  }
};
await Promise.all(Array.from({ length: 20 }, (_, slot) => writeAll(slot)));

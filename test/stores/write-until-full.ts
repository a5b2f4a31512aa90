import { openEmbeddedStore } from "../../runtime/stores/embedded-store.ts";

// Writes until the system refuses three writes, and prints the reasons, and all rejections that no code handled.
const [, , path = ""] = process.argv;
const unhandled: string[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(String(reason)));
// The kernel sends it to a process that writes more than it may.
process.on("SIGXFSZ", () => {});
const store = await openEmbeddedStore({ path, durability: "process", timeoutMs: 60_000 });
const entry = { value: Buffer.alloc(50_000), metadata: null, expiresMs: Date.now() + 3_600_000 };
const reasons: string[] = [];
for (let at = 0; reasons.length < 3; at += 1) {
  try {
    // oxlint-disable-next-line no-await-in-loop -- One after the other, until the file is full.
    await store.put("a", `k${at}`, entry);
  } catch (error) {
    reasons.push(String(error));
  }
}
const value = (await store.get("a", "k0"))?.value.length;
await store.close();
process.stdout.write(JSON.stringify({ reasons, unhandled, value }));

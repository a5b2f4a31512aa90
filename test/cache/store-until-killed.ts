// Stores entries in a folder until it is killed, and prints a line for every few that it has stored.
import { TieredStore } from "../../runtime/cache/tiered-store.ts";
import { bodyOf } from "./numbered-bodies.ts";
import { keyOf, storedHead } from "./stored-heads.ts";

const [dir = "", start = "0"] = process.argv.slice(2);
const store = new TieredStore({
  memoryBytes: 4 * 1024 * 1024,
  disk: { dir, limitBytes: 256 * 1024 * 1024 },
  onProblem: (error) => {
    throw error;
  },
});
const PER_LINE = 25;

function storeNext(count: number): void {
  const page = count % 40;
  const writer = store.begin(keyOf(`https://x.example/${page}`), { fields: "", bodyBytes: null });
  const body = bodyOf(page, count);
  for (let at = 0; at < body.length; at += 100_000) writer.push(body.subarray(at, at + 100_000));
  const head = storedHead({ receivedMs: count, etag: `"${count}"` });
  writer.commit(head, (entry) => {
    // Some heads are renewed at once, as a 304 does.
    if (entry !== null && count % 3 === 0) store.freshen(entry, { ...head, lifetimeMs: count });
    if (count % PER_LINE === 0) console.log(count);
    setImmediate(storeNext, count + 1);
  });
}

storeNext(Number(start) + 1);

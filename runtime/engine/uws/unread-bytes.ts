import { readFile } from "node:fs/promises";

/** Of connections over IPv4 alone, and of those to a socket for both. */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"] as const;

/**
 * A table serves for so many times as long as it took to be read: to look at 100,000 connections takes a tenth of a
 * second.
 */
const SERVES_TIMES = 20;
/**
 * No longer than that: the loop may be slow to read it when it has much else to do, which takes nothing from anybody.
 */
const MOST_SERVES_MS = 5_000;

/** Tells how many bytes of clients the kernel holds that were not read yet. */
export class UnreadBytes {
  /**
   * The table has a line for each connection of the machine, so all callers during a reading, or soon after, share it.
   */
  #reading: { readonly startMs: number; readonly table: Promise<UnreadTable> } | null = null;

  /**
   * Returns the most of any connection from this address to this port, since the library does not tell the client's
   * port.
   *
   * @param address From the library: 4 or 16 bytes, most significant first.
   * @param maxAgeMs Older results are useless.
   * @returns Bytes; `null` if not known: not on Linux, there is no such connection, or the last reading is older than
   *   that and must still be used. Ask again later.
   */
  async find(port: number, address: ArrayBuffer, maxAgeMs: number): Promise<number | null> {
    const askedMs = performance.now();
    this.#reading ??= { startMs: askedMs, table: this.#read() };
    const { startMs, table } = this.#reading;
    if (askedMs - startMs > maxAgeMs) return null;
    return findUnread(await table, port, address);
  }

  async #read(): Promise<UnreadTable> {
    const startMs = performance.now();
    const table = parseUnread(await readTables());
    const servesMs = SERVES_TIMES * (performance.now() - startMs);
    setTimeout(() => (this.#reading = null), Math.min(servesMs, MOST_SERVES_MS)).unref();
    return table;
  }
}

/** By our port and the client's address, both as the kernel prints them. */
export type UnreadTable = ReadonlyMap<string, number>;

/** Of `/proc/net/tcp` and `/proc/net/tcp6` (proc_pid_net(5)). Pure. */
export function parseUnread(tables: string): UnreadTable {
  const unread = new Map<string, number>();
  for (const [, port = "", address = "", queue = ""] of tables.matchAll(OPEN_CONNECTION)) {
    const key = toKey(port, address);
    unread.set(key, Math.max(unread.get(key) ?? 0, Number.parseInt(queue, 16)));
  }
  return unread;
}

/** The most of any connection from this address to this port; `null`: there is none. */
export function findUnread(table: UnreadTable, port: number, address: ArrayBuffer): number | null {
  if (address.byteLength === 0 || address.byteLength % 4 !== 0) return null;
  const remote = [...new Uint32Array(address)].map((word) => formatHex(word, 8)).join("");
  return table.get(toKey(formatHex(port, 4), remote)) ?? null;
}

/** Line number, local and remote address and port, state (01 established, 08 the client has ended), queues. */
const OPEN_CONNECTION =
  /^ *\d+: [\dA-F]+:([\dA-F]{4}) ([\dA-F]+):[\dA-F]{4} 0[18] [\dA-F]{8}:([\dA-F]{8}) /gm;

function toKey(port: string, address: string): string {
  return `${port} ${address}`;
}

async function readTables(): Promise<string> {
  const texts = TABLES.map((path) => readFile(path, "latin1").catch(() => ""));
  return (await Promise.all(texts)).join("");
}

/** The kernel prints the four bytes of a word as one number of the machine, and so does this. */
function formatHex(word: number, digits: number): string {
  return word.toString(16).toUpperCase().padStart(digits, "0");
}

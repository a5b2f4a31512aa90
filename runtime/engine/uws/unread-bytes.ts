import { readFile } from "node:fs/promises";

/** The kernel's tables of connections to IPv4 sockets and to IPv6 or dual-stack sockets. */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"] as const;

/**
 * How long a table is reused, as a multiple of the time that it took to read. Reading 100,000 connections takes a tenth
 * of a second.
 */
const REUSE_FACTOR = 20;
/**
 * Longest time for which a table is reused. A busy event loop makes the read look slow, which says nothing about its
 * cost.
 */
const MOST_REUSE_MS = 5_000;

/** Finds how many bytes of a client the kernel holds unread. */
export class UnreadBytes {
  /**
   * The current or last read of the tables, shared by all callers: each table has a line for every connection of the
   * machine.
   */
  #reading: { readonly startMs: number; readonly table: Promise<UnreadTable> } | null = null;

  /**
   * Returns the most unread bytes of any connection from this address to this port. A closer match is impossible: the
   * library does not tell the client's port.
   *
   * @param address From the library: 4 or 16 bytes, most significant first.
   * @param maxAgeMs Greatest age of a usable result.
   * @returns Bytes; `null` if unknown. Either this is not Linux, or there is no such connection, or the shared table is
   *   older than `maxAgeMs`. In the last case ask again later.
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
    const reuseMs = REUSE_FACTOR * (performance.now() - startMs);
    setTimeout(() => (this.#reading = null), Math.min(reuseMs, MOST_REUSE_MS)).unref();
    return table;
  }
}

/** Unread bytes by local port and client address, both as the kernel prints them. */
export type UnreadTable = ReadonlyMap<string, number>;

/** Parses `/proc/net/tcp` and `/proc/net/tcp6` (proc_pid_net(5)). Pure. */
export function parseUnread(tables: string): UnreadTable {
  const unread = new Map<string, number>();
  for (const [, port = "", address = "", queue = ""] of tables.matchAll(OPEN_CONNECTION)) {
    const key = toKey(port, address);
    unread.set(key, Math.max(unread.get(key) ?? 0, Number.parseInt(queue, 16)));
  }
  return unread;
}

/**
 * Returns the most unread bytes of any connection from this address to this port; `null`: there is no such connection.
 */
export function findUnread(table: UnreadTable, port: number, address: ArrayBuffer): number | null {
  if (address.byteLength === 0 || address.byteLength % 4 !== 0) return null;
  const remote = [...new Uint32Array(address)].map((word) => formatHex(word, 8)).join("");
  return table.get(toKey(formatHex(port, 4), remote)) ?? null;
}

/**
 * Line number, local address and port, remote address and port, state (01 established, 08 closed by the client), and
 * the send and receive queues.
 */
const OPEN_CONNECTION =
  /^ *\d+: [\dA-F]+:([\dA-F]{4}) ([\dA-F]+):[\dA-F]{4} 0[18] [\dA-F]{8}:([\dA-F]{8}) /gm;

function toKey(port: string, address: string): string {
  return `${port} ${address}`;
}

async function readTables(): Promise<string> {
  const texts = TABLES.map((path) => readFile(path, "latin1").catch(() => ""));
  return (await Promise.all(texts)).join("");
}

/**
 * Formats a word like the kernel, which prints four bytes of an address as one number in the byte order of the machine.
 */
function formatHex(word: number, digits: number): string {
  return word.toString(16).toUpperCase().padStart(digits, "0");
}

import { readFile } from "node:fs/promises";

/** Of connections over IPv4 alone, and of those to a socket for both. */
const TABLES = ["/proc/self/net/tcp", "/proc/self/net/tcp6"] as const;

/** How much the kernel holds of what clients have sent and nobody has read yet. */
export class UnreadBytes {
  /** A table has a line for each connection of the machine: whoever asks while one is read gets that one. */
  #reading: Promise<string> | null = null;

  /**
   * The most of any connection that comes from this address to this port, since the library tells no port of the client's.
   *
   * @param address As the library tells it: 4 or 16 bytes, most significant first.
   * @returns Bytes; `null` where it cannot be known: not on Linux, or there is no such connection.
   */
  async find(port: number, address: ArrayBuffer): Promise<number | null> {
    this.#reading ??= readTables().finally(() => (this.#reading = null));
    return parseUnreadBytes(await this.#reading, port, address);
  }
}

/** Of `/proc/net/tcp` and `/proc/net/tcp6` (proc_pid_net(5)). Pure. */
export function parseUnreadBytes(table: string, port: number, address: ArrayBuffer): number | null {
  if (address.byteLength === 0 || address.byteLength % 4 !== 0) return null;
  const remote = [...new Uint32Array(address)].map((word) => formatHex(word, 8)).join("");
  // Line number, local and remote address and port, state (01 established, 08 the client has ended), queues.
  const line = new RegExp(
    `^ *\\d+: [\\dA-F]+:${formatHex(port, 4)} ${remote}:[\\dA-F]{4} 0[18] [\\dA-F]{8}:(?<unread>[\\dA-F]{8}) `,
    "gm",
  );
  const counts = [...table.matchAll(line)].map(({ groups }) =>
    Number.parseInt(groups?.["unread"] ?? "", 16),
  );
  return counts.length === 0 ? null : Math.max(...counts);
}

async function readTables(): Promise<string> {
  const texts = TABLES.map((path) => readFile(path, "latin1").catch(() => ""));
  return (await Promise.all(texts)).join("");
}

/** The kernel prints the four bytes of a word as one number of the machine, and so does this. */
function formatHex(word: number, digits: number): string {
  return word.toString(16).toUpperCase().padStart(digits, "0");
}

import { type FileHandle, open, stat } from "node:fs/promises";

const READ_BYTES = 256 * 1024;

/** Longest line that waits for its end. A longer one is cut. */
const MOST_LINE_BYTES = 1024 * 1024;

const LINE_FEED = 0x0a;

/**
 * Reads the lines that a program appends to a file, across rotation: a file that is renamed and created again, or truncated.
 *
 *     missing ──▶ open ──another file has the path──▶ replaced: read once more ──▶ open
 */
export class FollowedFile {
  readonly #path: string;
  #file: FileHandle | null = null;
  #inode: bigint | null = null;
  #offset = 0;
  #rest: Buffer = Buffer.alloc(0);
  #isReplaced = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** Begins at the present end of the file. A missing file is read from its beginning, once it is there. */
  async begin(): Promise<void> {
    await this.#open();
    if (this.#file !== null) this.#offset = (await this.#file.stat()).size;
  }

  /** Returns the lines that are complete since the last call, without their line feeds. */
  async read(): Promise<string[]> {
    if (this.#file === null) await this.#open();
    if (this.#file === null) return [];
    const lines = await this.#drain(this.#file);
    const now = await stat(this.#path, { bigint: true }).catch(() => null);
    if (now === null) return lines;
    if (now.ino === this.#inode) {
      this.#isReplaced = false;
      if (now.size >= BigInt(this.#offset)) return lines;
      this.#offset = 0;
      return [...lines, ...this.#takeRest(), ...(await this.#drain(this.#file))];
    }
    // The program may still finish a write to the old file: it is read once more.
    if (!this.#isReplaced) {
      this.#isReplaced = true;
      return lines;
    }
    lines.push(...this.#takeRest());
    await this.close();
    await this.#open();
    if (this.#file !== null) lines.push(...(await this.#drain(this.#file)));
    return lines;
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  async #open(): Promise<void> {
    try {
      this.#file = await open(this.#path, "r");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
      throw error;
    }
    this.#inode = (await this.#file.stat({ bigint: true })).ino;
    this.#offset = 0;
    this.#isReplaced = false;
  }

  async #drain(file: FileHandle): Promise<string[]> {
    const lines: string[] = [];
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, READ_BYTES, this.#offset);
      if (bytesRead === 0) return lines;
      this.#offset += bytesRead;
      lines.push(...this.#split(buffer.subarray(0, bytesRead)));
    }
  }

  #split(bytes: Buffer): string[] {
    const lines: string[] = [];
    let rest = Buffer.concat([this.#rest, bytes]);
    for (let end = rest.indexOf(LINE_FEED); end !== -1; end = rest.indexOf(LINE_FEED)) {
      lines.push(rest.subarray(0, end).toString("utf8"));
      rest = rest.subarray(end + 1);
    }
    this.#rest = rest;
    if (rest.length > MOST_LINE_BYTES) lines.push(...this.#takeRest());
    return lines;
  }

  /** Returns the line that has no end, if there is one. */
  #takeRest(): string[] {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    return rest.length === 0 ? [] : [rest.toString("utf8")];
  }
}

/**
 * Returns the last lines of a file that a filter lets through, in their order. Reads the file from its end, as far as needed.
 *
 * @returns Empty for a missing file.
 */
export async function readLastLines(
  path: string,
  { most, isShown }: { most: number; isShown: (line: string) => boolean },
): Promise<string[]> {
  const file = await open(path, "r").catch(() => null);
  if (file === null || most === 0) {
    await file?.close();
    return [];
  }
  try {
    const found: string[] = [];
    let end = (await file.stat()).size;
    let rest: Buffer = Buffer.alloc(0);
    while (end > 0 && found.length < most) {
      const start = Math.max(0, end - READ_BYTES);
      const block = Buffer.allocUnsafe(end - start);
      const { bytesRead } = await file.read(block, 0, block.length, start);
      const bytes = Buffer.concat([block.subarray(0, bytesRead), rest]);
      const first = start === 0 ? 0 : bytes.indexOf(LINE_FEED) + 1;
      // A line that fills the block has its beginning before it.
      rest = start === 0 || first > 0 ? bytes.subarray(0, Math.max(0, first)) : bytes;
      const whole = start === 0 ? bytes : first > 0 ? bytes.subarray(first) : Buffer.alloc(0);
      const lines = whole.toString("utf8").split("\n");
      for (const line of lines.toReversed()) {
        if (line !== "" && found.length < most && isShown(line)) found.unshift(line);
      }
      end = start;
    }
    return found;
  } finally {
    await file.close();
  }
}

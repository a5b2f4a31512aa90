import type { FileBody } from "../static/file-body.ts";
import { type Ending, writeEnding, writeHead } from "./write-response.ts";
import type { PreparedFields } from "./response-fields.ts";
import type { HttpResponse } from "./uws.ts";

/** How much is read and written at a time. */
const PIECE_BYTES = 256 * 1024;

export interface FileResponse {
  status: number;
  fields: PreparedFields;
  body: FileBody;
  ending: Ending;
}

/** A response whose body comes from a file: it goes on until the client has it or has left. */
export class FileWriter {
  readonly #res: HttpResponse;
  readonly #response: FileResponse;
  readonly #buffer: Buffer;
  #onWritable: ((offset: number) => void) | null = null;
  #aborted = false;

  constructor(res: HttpResponse, response: FileResponse) {
    this.#res = res;
    this.#response = response;
    this.#buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, response.body.lengthBytes));
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  /**
   * Writes head and body. Closes the file on every path.
   *
   * @returns Whether the client has it all; false once `abort` was called.
   * @throws What reading throws, with the connection still open: the response cannot be completed.
   */
  async write(): Promise<boolean> {
    const { body } = this.#response;
    const size = body.lengthBytes;
    // One callback for the whole response: to replace it from inside itself is unreliable (uws-notes section 3).
    this.#res.onWritable((offset) => {
      this.#onWritable?.(offset);
      return true;
    });
    try {
      let at = 0;
      while (at < size) {
        const length = await body.read(this.#buffer, at);
        if (this.#aborted) return false;
        await this.#writePiece(at, length);
        if (this.#aborted) return false;
        at += length;
      }
      return true;
    } finally {
      body.close();
    }
  }

  /** The client left: the library's response must not be touched again. */
  abort(): void {
    this.#aborted = true;
    this.#onWritable?.(0);
  }

  /** Settles when the client has taken the piece, or has left. */
  #writePiece(start: number, length: number): Promise<void> {
    const { body, status, fields, ending } = this.#response;
    const size = body.lengthBytes;
    const piece = this.#buffer.subarray(0, length);
    let taken = false;
    this.#res.cork(() => {
      if (start === 0) {
        writeHead(this.#res, { status, statusText: "", fields });
        writeEnding(this.#res, ending);
      }
      [taken] = this.#res.tryEnd(piece, size);
    });
    if (taken) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onWritable = (offset) => {
        if (!this.#aborted) {
          this.#res.cork(() => {
            [taken] = this.#res.tryEnd(piece.subarray(offset - start), size);
          });
          if (!taken) return;
        }
        this.#onWritable = null;
        resolve();
      };
    });
  }
}

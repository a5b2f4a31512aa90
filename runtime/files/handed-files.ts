import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";

import type { HandedFile } from "../channel/messages.ts";
import { dropFields, replaceFields } from "../http/change-fields.ts";
import type { BodySource, Client } from "../http/client.ts";
import type { FileSender, NamedFile } from "../http/file-sender.ts";
import { findField } from "../http/find-field.ts";
import { RuntimeError, toError } from "../lib/errors.ts";
import { resolveStatic, type StaticAnswer } from "./answer.ts";
import { resolveContentType } from "./content-type.ts";
import { type FileBody, toHandleBody } from "./file-body.ts";
import { DEFAULT_FILE_SETTINGS, FilePolicy } from "./file-policy.ts";
import { FileBodySource } from "./file-body-source.ts";
import { joinBodies } from "./multipart.ts";
import { type FileSource, StaticFile, toFileVersion } from "./static-file.ts";

export interface HandedFilesLog {
  debug(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Most handed-over files that are open at a time. Any number of clients may read each. */
const MOST_OPEN = 512;

/** Most files that are being opened at a time: the thread pool has few threads, and each has a descriptor already. */
const MOST_OPENING = 16;

/**
 * Opens and sends the files that workers hand over. Opening and reading happen in the thread pool.
 *
 * A file that a worker has open is opened a second time through `/proc/PID/fd/N`: that works for files that were
 * removed, and for files whose names only the worker can reach. Device and inode prove that it is the same file.
 */
export class HandedFiles implements FileSender {
  readonly #log: HandedFilesLog;
  readonly #mostOpen: number;
  /** By version: all clients of one version of a file share a descriptor. */
  readonly #shared = new Map<string, Shared>();
  /** Files that wait to be opened. */
  readonly #waiting: (() => void)[] = [];
  #opening = 0;

  constructor(log: HandedFilesLog, { mostOpen = MOST_OPEN }: { mostOpen?: number } = {}) {
    this.#log = log;
    this.#mostOpen = mostOpen;
  }

  /** Number of files that are open. */
  get count(): number {
    return this.#shared.size;
  }

  async openHanded(pid: number, file: HandedFile): Promise<BodySource | null> {
    const { fd, device, inode, start, lengthBytes } = file;
    try {
      const opened = await this.#open(`/proc/${pid}/fd/${fd}`);
      const { version } = opened.source;
      const isSame = version.device === device && version.inode === inode;
      if (!isSame || start + lengthBytes > version.sizeBytes) {
        opened.release();
        return null;
      }
      return this.#toSource(toHandleBody(opened, { start, lengthBytes }, opened.release));
    } catch {
      // The worker reads the file itself, and reports the fault.
      return null;
    }
  }

  answerWith(client: Client, file: NamedFile): void {
    this.#answer(client, file).catch((error: unknown) => this.#refuse(client, file, error));
  }

  async #answer(client: Client, named: NamedFile): Promise<void> {
    const opened = await this.#open(named.path);
    let isHeld = false;
    try {
      const { method, fields } = client.head;
      const contentType = findField(named.fields, "content-type");
      const file = new StaticFile(opened.source, {
        path: named.path,
        contentType: contentType ?? resolveContentType(named.path),
        policy: REVALIDATED,
      });
      // Reading a file for its tag would take as long as sending it.
      if (file.needsContentTag) file.contentTag = toTimeTag(opened.source);
      const request = { method, query: "", field: (name: string) => findField(fields, name) };
      const isPlain = named.status === 200;
      const answer = isPlain ? resolveStatic(file, request, Date.now()) : null;
      if (answer !== null && "untagged" in answer) throw new TypeError("a file without a tag");
      const sent = answer ?? toWhole(file, method);
      const body = this.#toBody(opened, sent);
      isHeld = body !== null;
      client.reply({
        status: isPlain ? sent.status : named.status,
        statusText: sent.status === 200 ? named.statusText : "",
        fields: mergeFields(sent, named.fields),
        body,
        lengthBytes: sent.contentLength,
      });
    } finally {
      if (!isHeld) opened.release();
    }
  }

  /** Returns the body of an answer; `null`: it has none, and the file is not needed. */
  #toBody(opened: Opened, { body, contentLength }: StaticAnswer): BodySource | null {
    if (body.kind === "file") {
      const part = { start: body.start, lengthBytes: contentLength ?? 0 };
      return this.#toSource(toHandleBody(opened, part, opened.release));
    }
    if (body.kind !== "parts") return null;
    let users = body.parts.length;
    const pieces = body.parts.flatMap(({ head, start, lengthBytes }) => {
      const release = (): void => {
        if (--users === 0) opened.release();
      };
      return [head, toHandleBody(opened, { start, lengthBytes }, release)];
    });
    return this.#toSource(joinBodies([...pieces, body.tail]));
  }

  #toSource(body: FileBody): BodySource {
    return new FileBodySource(body, (error) => {
      this.#log.error({ err: error }, "cannot send the rest of a file");
    });
  }

  #refuse(client: Client, { path }: NamedFile, error: unknown): void {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (NOT_THERE.has(code)) {
      // The path may come from a client: this is no failure.
      this.#log.debug({ file: path }, "a handler answered with a file that is not there");
      client.refuse(404);
      return;
    }
    const isFull = code === "ERR_OVERLOADED" || code === "EMFILE" || code === "ENFILE";
    this.#log.error({ err: toError(error), file: path }, "cannot send the file of a handler");
    client.refuse(isFull ? 503 : 500, isFull ? { retryAfterSeconds: 1 } : {});
  }

  async #open(path: string): Promise<Opened> {
    if (this.#opening >= MOST_OPENING) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
      });
    }
    this.#opening++;
    let handle: FileHandle | null = null;
    try {
      handle = await open(path, OPEN_FLAGS);
      const stats = await handle.stat();
      if (!stats.isFile()) {
        const error = new Error(`Cannot send "${path}": found no regular file, expected one`);
        throw Object.assign(error, { code: "EISDIR" });
      }
      return this.#share(handle, { realPath: path, version: toFileVersion(stats) });
    } catch (error) {
      await handle?.close();
      throw error;
    } finally {
      this.#opening--;
      this.#waiting.shift()?.();
    }
  }

  /** Returns the file. All clients of one version share a descriptor, so a second one is closed. */
  #share(handle: FileHandle, source: FileSource): Opened {
    const { device, inode, changedMs, sizeBytes } = source.version;
    const key = `${device} ${inode} ${changedMs} ${sizeBytes}`;
    let shared = this.#shared.get(key);
    if (shared !== undefined) {
      close(handle);
    } else if (this.#shared.size < this.#mostOpen) {
      shared = { handle, users: 0 };
      this.#shared.set(key, shared);
    } else {
      throw new RuntimeError(
        "ERR_OVERLOADED",
        `Cannot open "${source.realPath}": found ${this.#mostOpen} files open, expected fewer`,
      );
    }
    const held = shared;
    held.users++;
    const release = (): void => {
      held.users--;
      if (held.users > 0) return;
      this.#shared.delete(key);
      close(held.handle);
    };
    return { handle: held.handle, source, release };
  }
}

interface Shared {
  readonly handle: FileHandle;
  users: number;
}

function close(handle: FileHandle): void {
  // An error while closing a file that was only read does not matter.
  handle.close().catch(() => {});
}

interface Opened {
  handle: FileHandle;
  source: FileSource;
  /** Must be called once. */
  release: () => void;
}

// Not blocking: a named pipe would block the opening.
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** The file may be for one client only, also if its name has a hash: no cache may keep it without asking. */
const REVALIDATED = new FilePolicy({
  ...DEFAULT_FILE_SETTINGS,
  compression: false,
  cacheControl: { isAutomatic: false, rules: [["**", "no-cache"]] },
});

/** Codes for a path at which there is no regular file. */
const NOT_THERE: ReadonlySet<unknown> = new Set([
  "ENOENT",
  "ENOTDIR",
  "EISDIR",
  "ELOOP",
  "ENAMETOOLONG",
]);

/** Tells versions of a file apart whose time of modification may be made up. The inode's time is the kernel's. */
function toTimeTag({ version }: FileSource): string {
  return Math.round(version.changedMs * 1000).toString(16);
}

/** Returns the answer to a request without conditions and ranges. */
function toWhole(file: StaticFile, method: string): StaticAnswer {
  const { fields, sizeBytes: contentLength } = file;
  const isHead = method === "HEAD";
  const body = isHead ? ({ kind: "none" } as const) : ({ kind: "file", file, start: 0 } as const);
  return { status: 200, fields, contentLength, body };
}

/** The type is part of the answer already, which may be the type of several ranges. */
function mergeFields({ status, fields }: StaticAnswer, own: string): string {
  // RFC 9110 section 15.4.5: a 304 does not describe the content.
  const kept = dropFields(own, (name) =>
    status === 304 || status === 416 ? name.startsWith("content-") : name === "content-type",
  );
  return replaceFields(fields, kept);
}

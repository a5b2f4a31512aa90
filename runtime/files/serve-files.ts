import { RuntimeError } from "../lib/errors.ts";
import {
  type StaticAnswer,
  type StaticRequest,
  type Untagged,
  resolveNotFound,
  resolveStatic,
  wantsCompression,
} from "./answer.ts";
import type { FileIndex } from "./file-index.ts";
import type { StaticEntry } from "./static-file.ts";
import { FileBodySource } from "./file-body-source.ts";
import { BytesSource } from "../bodies/body-sources.ts";
import { findField } from "../http/find-field.ts";
import { dropFields, repeatChange } from "../http/change-fields.ts";
import type { Client } from "../http/client.ts";
import type { AnswerHead, FoundFile } from "../http/file-sender.ts";
import type { Inquiry } from "../http/inquiry.ts";
import { isSmall, type ReplyFilter } from "../http/reply.ts";
import type { FileBody } from "./file-body.ts";
import { joinBodies, type MultipartPart } from "./multipart.ts";
import type { StaticFile } from "./static-file.ts";

/** A request for a static file. */
export interface StaticTarget {
  /** Decoded and safe. */
  path: string;
  /** Begins with `?`; empty when there is none. */
  search: string;
  /**
   * The answer that the file is. `file`: the path is that of the request. `page`: a file of the server's choice.
   * `not-found`: a page of the server's choice, with status 404.
   */
  use: "file" | "page" | "not-found";
}

/**
 * Most look-ups for one request, when the file changes each time while it is opened. A deployment changes a file once
 * or twice within one request.
 */
const MOST_LOOK_UPS = 5;

/**
 * Answers from the public folder; false when no file there answers this request.
 *
 * @param serving Returns the index that serves at that moment: a reload may replace it while a file is opened.
 * @param onError A file could not be read to its end; the client's connection is broken off.
 */
export function serveStatic(
  client: Client,
  target: StaticTarget,
  serving: () => FileIndex | null,
  onError: (error: unknown) => void,
): boolean {
  const files = serving();
  const entry = find(files, target);
  const answer = entry === undefined ? null : resolve(client, target, entry);
  if (files === null || entry === undefined || answer === null) return false;
  if (client.inquiry !== undefined) tellFile(client.inquiry, entry);
  // This client, and others until it is done, get the file as it is.
  if (
    entry.kind === "file" &&
    entry.isUncompressed &&
    wantsCompression(toRequest(client, target))
  ) {
    files.compress(entry);
  }
  if (!("untagged" in answer) && (answer.body.kind === "none" || answer.body.kind === "bytes")) {
    sendNow(client, answer);
    return true;
  }
  sendFile(client, target, serving, onError).catch((error: unknown) => {
    client.refuse(error instanceof RuntimeError ? error.status : 500);
    onError(error);
  });
  return true;
}

function tellFile(inquiry: Inquiry, entry: StaticEntry): void {
  if (entry.kind === "redirect") inquiry.note(`the page has another path: ${entry.path}`);
  else inquiry.tell({ kind: "file", file: entry.source.realPath });
}

/**
 * Finds a file for middleware, without sending it; false when no file answers this request.
 *
 * @param options.onFound Called at once, or when the tag of the file was read.
 */
export function offerStatic(
  client: Client,
  target: StaticTarget,
  serving: () => FileIndex | null,
  { onFound, onError }: OfferCallbacks,
): boolean {
  const entry = find(serving(), target);
  const answer = entry === undefined ? null : resolve(client, target, entry);
  if (entry === undefined || answer === null) return false;
  if (client.inquiry !== undefined) tellFile(client.inquiry, entry);
  const offer = (found: StaticAnswer): void => {
    const { status } = found;
    const { contentLength, fields: own } = found;
    const fields = contentLength === null ? own : `${own}\ncontent-length\n${contentLength}`;
    onFound({
      status,
      fields,
      answer: (asked, changed) => {
        asked.filters = [repeatChanges({ status, fields }, changed), ...(asked.filters ?? [])];
        if (!serveStatic(asked, target, serving, onError)) asked.refuse(404);
      },
    });
  };
  if (!("untagged" in answer)) {
    offer(answer);
    return true;
  }
  offerTagged(client, target, serving, offer).catch((error: unknown) => {
    client.refuse(error instanceof RuntimeError ? error.status : 500);
    onError(error);
  });
  return true;
}

async function offerTagged(
  client: Client,
  target: StaticTarget,
  serving: () => FileIndex | null,
  offer: (found: StaticAnswer) => void,
): Promise<void> {
  const found = await tagged(client, target, serving);
  if (client.settled) return;
  if (found === null) client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  else offer(found);
}

export interface OfferCallbacks {
  onFound: (found: FoundFile) => void;
  onError: (error: unknown) => void;
}

/** Reads the tag of a file until the file stays the same. */
async function tagged(
  client: Client,
  target: StaticTarget,
  serving: () => FileIndex | null,
): Promise<StaticAnswer | null> {
  for (let attempt = 1; attempt <= MOST_LOOK_UPS; attempt++) {
    const files = serving();
    const entry = find(files, target);
    if (files === null || entry === undefined) return null;
    let answer = resolve(client, target, entry);
    if (answer !== null && "untagged" in answer && (await files.readTag(answer.untagged))) {
      answer = resolve(client, target, entry);
    }
    if (answer === null || !("untagged" in answer)) return answer;
  }
  return null;
}

/** Changes the answer with a file as middleware has changed the answer that it saw. A refusal stays as it is. */
function repeatChanges(
  seen: Pick<AnswerHead, "status" | "fields">,
  changed: AnswerHead,
): ReplyFilter {
  return (reply) => {
    if (reply.status !== seen.status && !FILE_STATUSES.has(reply.status)) return reply;
    const fields = repeatFields(seen.fields, changed.fields, reply.fields);
    if (changed.status === seen.status) return { ...reply, fields };
    const { status, statusText } = changed;
    return reply.status === seen.status
      ? { ...reply, status, statusText, fields }
      : { ...reply, fields };
  };
}

/** The type of several ranges names their boundary, which a client needs. */
function repeatFields(before: string, after: string, on: string): string {
  if (!on.includes("content-type\nmultipart/byteranges")) return repeatChange(before, after, on);
  return repeatChange(dropFields(before, isType), dropFields(after, isType), on);
}

function isType(name: string): boolean {
  return name === "content-type";
}

const FILE_STATUSES: ReadonlySet<number> = new Set([200, 206, 301, 304, 412, 416]);

function find(files: FileIndex | null, { path, use }: StaticTarget): StaticEntry | undefined {
  const entry = files?.lookup(path, Date.now());
  // A page may have another path than its file.
  const isMoved = use !== "file" && entry?.kind === "redirect";
  return isMoved ? files?.lookup(entry.path, Date.now()) : entry;
}

function toRequest(client: Client, { search: query }: StaticTarget): StaticRequest {
  const { method, fields } = client.head;
  return { method, query, field: (name) => findField(fields, name) };
}

function resolve(
  client: Client,
  target: StaticTarget,
  entry: StaticEntry,
): StaticAnswer | Untagged | null {
  const request = toRequest(client, target);
  if (target.use !== "not-found") return resolveStatic(entry, request, Date.now());
  return entry.kind === "file" ? resolveNotFound(entry, request) : null;
}

function sendNow(client: Client, { status, fields, contentLength, body }: StaticAnswer): void {
  const bytes = body.kind === "bytes" ? body.bytes : null;
  client.reply({
    status,
    statusText: "",
    fields,
    // A client copies lent bytes if it cannot send them at once. Large bytes of the cache need no copy.
    body: bytes === null || isSmall(bytes) ? bytes : new BytesSource(bytes),
    lengthBytes: contentLength,
  });
}

async function sendFile(
  client: Client,
  target: StaticTarget,
  serving: () => FileIndex | null,
  onError: (error: unknown) => void,
): Promise<void> {
  // If a file changed after the look-up, look it up again: it may have another version.
  for (let attempt = 1; attempt <= MOST_LOOK_UPS; attempt++) {
    const files = serving();
    const entry = find(files, target);
    if (files === null || entry === undefined) {
      client.refuse(404);
      return;
    }
    let answer = resolve(client, target, entry);
    if (answer !== null && "untagged" in answer && (await files.readTag(answer.untagged))) {
      // The same entry, not a new look-up. Each change near the file gives its path an entry without a tag, even if the
      // file stays the same. The swap of a ConfigMap is several such changes.
      answer = resolve(client, target, entry);
    }
    if (answer === null) {
      client.refuse(404);
      return;
    }
    // The file changed while its tag was read.
    if ("untagged" in answer) continue;
    if (answer.body.kind === "none" || answer.body.kind === "bytes") {
      sendNow(client, answer);
      return;
    }
    const body =
      answer.body.kind === "file"
        ? await files.openBody(answer.body.file, answer.body.start, answer.contentLength ?? 0)
        : await openParts(files, answer.body);
    if (body !== null) {
      const source = new FileBodySource(body, onError);
      const { status, fields } = answer;
      const { lengthBytes } = body;
      client.reply({ status, statusText: "", fields, body: source, lengthBytes });
      return;
    }
  }
  // The file exists, so this is no 404.
  client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

/** Opens all ranges of a file. They share one descriptor, so all are of the same version. */
async function openParts(
  files: FileIndex,
  { file, parts, tail }: { file: StaticFile; parts: readonly MultipartPart[]; tail: Buffer },
): Promise<FileBody | null> {
  const pieces: (Buffer | FileBody)[] = [];
  const close = (): void => {
    for (const piece of pieces) if (!Buffer.isBuffer(piece)) piece.close();
  };
  try {
    for (const { head, start, lengthBytes } of parts) {
      const body = await files.openBody(file, start, lengthBytes);
      if (body === null) {
        close();
        return null;
      }
      pieces.push(head, body);
    }
  } catch (error) {
    close();
    throw error;
  }
  return joinBodies([...pieces, tail]);
}

const RETRY_AFTER_SECONDS = 1;

import { RuntimeError } from "../lib/errors.ts";
import { type StaticAnswer, type Untagged, resolveStatic } from "./answer.ts";
import type { FileIndex } from "./file-index.ts";
import { BytesSource, FileSource } from "../bodies/body-sources.ts";
import { findField } from "../http/find-field.ts";
import type { UwsClientSide } from "../engine/uws/uws-client.ts";
import { isSmall } from "../engine/uws/write-response.ts";

/**
 * Answers from the public folder; false when no file there answers this request.
 *
 * @param target `path` is decoded and safe; `search` has its `?`.
 * @param onError A file could not be read to its end; the client's connection is broken off.
 */
export function serveStatic(
  client: UwsClientSide,
  target: { path: string; search: string },
  files: FileIndex,
  onError: (error: unknown) => void,
): boolean {
  const answer = lookUp(client, target, files);
  if (answer === null) return false;
  if (!("untagged" in answer) && answer.body.kind !== "file") {
    sendNow(client, answer);
    return true;
  }
  sendFile(client, target, files, onError).catch((error: unknown) => {
    client.refuse(error instanceof RuntimeError ? error.status : 500);
    onError(error);
  });
  return true;
}

function lookUp(
  client: UwsClientSide,
  target: { path: string; search: string },
  files: FileIndex,
): StaticAnswer | Untagged | null {
  const nowMs = Date.now();
  const entry = files.lookup(target.path, nowMs);
  if (entry === undefined) return null;
  const { method, fields } = client.head;
  const field = (name: string): string | undefined => findField(fields, name);
  return resolveStatic(entry, { method, query: target.search, field }, nowMs);
}

function sendNow(
  client: UwsClientSide,
  { status, fields, contentLength, body }: StaticAnswer,
): void {
  if (body.kind === "bytes" && !isSmall(body.bytes)) {
    // `respond` would copy the body: it expects lent bytes, but these belong to the cache.
    const head = { status, statusText: "", fields, lengthBytes: body.bytes.length };
    client.respondStream(head, new BytesSource(body.bytes));
    return;
  }
  const { method } = client.head;
  const length = method === "HEAD" && contentLength !== null;
  client.respond({
    status,
    statusText: "",
    fields: length ? `${fields}\ncontent-length\n${contentLength}` : fields,
    body: body.kind === "bytes" ? body.bytes : null,
  });
}

async function sendFile(
  client: UwsClientSide,
  target: { path: string; search: string },
  files: FileIndex,
  onError: (error: unknown) => void,
): Promise<void> {
  // A file that changed since it was looked up is looked up again, once: it may be there in another version.
  for (let attempt = 1; attempt <= 2; attempt++) {
    let answer = lookUp(client, target, files);
    if (answer !== null && "untagged" in answer && (await files.readTag(answer.untagged))) {
      answer = lookUp(client, target, files);
    }
    if (answer === null) break;
    // It changed while its tag was read.
    if ("untagged" in answer) continue;
    if (answer.body.kind !== "file") {
      sendNow(client, answer);
      return;
    }
    const { file, start } = answer.body;
    const body = await files.openBody(file, start, answer.contentLength ?? 0);
    if (body !== null) {
      const source = new FileSource(body, onError);
      const { status, fields } = answer;
      client.respondStream(
        { status, statusText: "", fields, lengthBytes: body.lengthBytes },
        source,
      );
      return;
    }
  }
  client.refuse(404);
}

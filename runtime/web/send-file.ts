import { isAbsolute, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { toFileStream } from "./file-stream.ts";

/** Options of `sendFile`. */
export interface SendFileInit extends ResponseInit {
  /**
   * The folder that the file must be in. A path that leads out of it is answered 404. Set it where a part of the path comes
   * from the request. Symbolic links are followed.
   */
  root?: string | URL;
}

/**
 * Returns a response with a file. The server sends it without the worker, as a file of the public folder: with entity tag,
 * `last-modified`, ranges, 304 and a `content-type` by its extension. The fields of `init` replace those of the file.
 *
 *     return sendFile("invoices/7.pdf", { headers: { "cache-control": "private" } });
 *
 * Any file may be named that the server may read. A file that is not there is answered 404. With another `status` than 200
 * the whole file is sent.
 *
 * @param path Relative to the root, or to the working directory; or a URL such as `new URL("a.pdf", import.meta.url)`.
 * @throws TypeError for a path that is neither text nor a `file:` URL, or has a NUL.
 */
export function sendFile(path: string | URL, { root, ...init }: SendFileInit = {}): Response {
  if (typeof path !== "string" && !(path instanceof URL)) {
    throw new TypeError(
      `Cannot send a file: found a path of type ${typeof path}, expected text or a URL`,
    );
  }
  const named = toPath(path);
  const folder = root === undefined ? null : resolve(toPath(root));
  const full = folder === null ? resolve(named) : resolve(folder, `.${sep}${named}`);
  if (full.includes("\0") || (folder !== null && !isBelow(full, folder))) {
    return new Response("Not Found\n", { status: 404 });
  }
  return new Response(toFileStream(full), init);
}

function toPath(path: string | URL): string {
  return typeof path === "string" ? path : fileURLToPath(path);
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== "" && way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

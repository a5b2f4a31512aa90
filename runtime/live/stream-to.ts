import type { ServerResponse } from "node:http";
import type { LiveReader } from "./live-feed.ts";

export interface StreamOptions {
  watch: (reader: LiveReader) => Promise<(() => void) | null>;
  /** Fields of the response. */
  fields: Readonly<Record<string, string>>;
  /** Writes a snapshot in the form of the stream. */
  toText: (json: string) => string;
  /** Asked before each snapshot: the right of a client may end while it reads. The response is destroyed then. Default: it stays. */
  mayRead?: (() => boolean) | undefined;
}

/**
 * Sends snapshots as the body of a response, until its client leaves. Holds at most one snapshot that the client has not taken.
 *
 * @returns False: there are too many readers, and nothing was sent.
 */
export async function streamTo(
  response: ServerResponse,
  { watch, fields, toText, mayRead = () => true }: StreamOptions,
): Promise<boolean> {
  const reader: LiveReader = {
    get isBlocked() {
      return response.writableNeedDrain;
    },
    send(json) {
      if (!mayRead()) {
        response.destroy();
        return;
      }
      if (!response.headersSent) response.writeHead(200, fields);
      response.write(toText(json));
    },
    drop: () => response.destroy(),
  };
  const stop = await watch(reader);
  if (stop === null) return false;
  if (!response.headersSent) response.writeHead(200, fields).flushHeaders();
  if (response.closed || response.destroyed) stop();
  else response.once("close", stop);
  return true;
}

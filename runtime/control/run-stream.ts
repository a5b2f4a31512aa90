import type { IncomingMessage, ServerResponse } from "node:http";
import { once } from "node:events";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import type { Operations } from "./operations.ts";
import { parseProfileRequest, PROFILE_EXPECTED } from "./profiling.ts";
import { parseShadowRequest, SHADOW_EXPECTED } from "./shadowing.ts";
import { type CommandAnswer, MAX_BODY_BYTES, readBody, refuse, toRefusal } from "./run-command.ts";

export interface StreamOptions {
  /** The path of the command: `/profile`. */
  pathname: string;
  log: Logger;
  /** Aborts when the server takes no more commands: it ends then. */
  closing: AbortSignal;
  operations: Promise<Partial<Operations>>;
}

/** Paths of commands whose answer is a stream of events, one JSON text in each line. */
export function isStream(pathname: string): boolean {
  return pathname === "/profile" || pathname === "/shadow";
}

/**
 * Runs a command until its events end, or its client leaves. Never rejects.
 *
 * A failure before the first event is answered like that of another command. A later failure is the last line:
 * `{"error": {"code", "message"}}`.
 */
export async function runStream(
  request: IncomingMessage,
  response: ServerResponse,
  options: StreamOptions,
): Promise<void> {
  const left = new AbortController();
  response.on("close", () => left.abort());
  let hasBegun = false;
  try {
    const signal = AbortSignal.any([left.signal, options.closing]);
    const events = await openEvents(request, { ...options, signal });
    if ("status" in events) {
      answer(response, events);
      return;
    }
    for await (const event of events) {
      if (left.signal.aborted) break;
      if (!hasBegun) response.writeHead(200, { "content-type": "application/x-ndjson" });
      hasBegun = true;
      const isTaken = response.write(`${JSON.stringify(event)}\n`);
      // Rejects when the client leaves.
      if (!isTaken) await once(response, "drain", { signal: left.signal });
    }
    if (options.closing.aborted && !left.signal.aborted) {
      throw new RuntimeError("ERR_DRAINING", "The server stops");
    }
    response.end();
  } catch (error) {
    if (left.signal.aborted) return;
    const isBug = !(error instanceof RuntimeError) && !options.closing.aborted;
    if (isBug) options.log.error({ err: error }, "a command failed: bug");
    const ended = new RuntimeError("ERR_DRAINING", "The server stops");
    const refusal = toRefusal(options.closing.aborted ? ended : error);
    if (hasBegun) response.end(`${JSON.stringify(refusal.value)}\n`);
    else answer(response, refusal);
  }
}

async function openEvents(
  request: IncomingMessage,
  { pathname, operations, signal }: StreamOptions & { signal: AbortSignal },
): Promise<AsyncIterable<object> | CommandAnswer> {
  if (request.method !== "POST") {
    return {
      ...refuse(405, `Cannot ${request.method} ${pathname}: expected POST`),
      allow: "POST",
    };
  }
  const body = await readBody(request, MAX_BODY_BYTES);
  if (pathname === "/shadow") {
    const wish = body === null ? null : parseShadowRequest(body);
    if (wish === null) return refuse(400, `Cannot shadow: expected ${SHADOW_EXPECTED}`);
    const { shadow } = await operations;
    return shadow?.(wish, signal) ?? refuse(404, "Cannot shadow: this server does not offer it");
  }
  const ask = body === null ? null : parseProfileRequest(body);
  if (ask === null) return refuse(400, `Cannot profile: expected ${PROFILE_EXPECTED}`);
  const { profile } = await operations;
  return profile?.(ask, signal) ?? refuse(404, "Cannot profile: this server does not offer it");
}

function answer(response: ServerResponse, { status, value, allow }: CommandAnswer): void {
  const fields = { "content-type": "application/json", connection: "close" };
  response.writeHead(status, allow === undefined ? fields : { ...fields, allow });
  response.end(`${JSON.stringify(value, null, 2)}\n`);
}

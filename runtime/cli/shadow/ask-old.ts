import { request as requestHttp, type IncomingMessage } from "node:http";
import { request as requestHttps } from "node:https";
import type { ShadowSample } from "../../control/shadowing.ts";
import { CONNECTION_FIELDS } from "../../lib/server-fields.ts";
import { digestBody, MOST_BODY_BYTES } from "../../shadow/digest-body.ts";
import { hideCookie, SHADOW_FIELD } from "../../shadow/sampler.ts";
import type { ComparedAnswer } from "./compare.ts";

/** Longest wait for the whole answer. */
const ANSWER_MS = 30_000;

/** Fields that concern the connection of the visitor, and the coding of the answer. */
const NOT_SENT: ReadonlySet<string> = new Set([
  ...CONNECTION_FIELDS,
  "accept-encoding",
  "content-length",
  "expect",
  "host",
]);

/**
 * Asks the old server the same. Follows no redirection.
 *
 * @param old Its origin.
 * @returns The reason, if there is no whole answer. Never rejects.
 */
export async function askOld(
  {
    method,
    target,
    origin,
    fields,
    body: sampled,
  }: Pick<ShadowSample, "method" | "target" | "origin" | "fields" | "body">,
  { old, keepHost, signal }: { old: string; keepHost: boolean; signal: AbortSignal },
): Promise<ComparedAnswer | { failure: string }> {
  const url = new URL(old);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]);
  const sent = fields.filter(([name]) => !NOT_SENT.has(name));
  const host = keepHost ? new URL(origin).host : url.host;
  const headers = [
    ["host", host],
    ...sent,
    ["accept-encoding", "identity"],
    [SHADOW_FIELD, "1"],
  ].flat();
  const send = url.protocol === "https:" ? requestHttps : requestHttp;
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const { hostname, port } = url;
      const address = {
        // Without the brackets of an IPv6 address.
        hostname: hostname.replace(/^\[|\]$/g, ""),
        ...(port !== "" && { port }),
        path: target,
      };
      const request = send({ ...address, method, headers, signal: limit }, resolve);
      request.on("error", reject);
      request.end();
    });
    // A stream or a large body, which nothing is compared with.
    const isUnread = sampled.kind === "unknown";
    if (isUnread) response.destroy();
    const bytes = isUnread ? null : await readBytes(response);
    const hasNone = method === "HEAD" || response.statusCode === 204;
    const { "content-encoding": coding, "content-type": type } = response.headers;
    const body =
      bytes === null
        ? ({ kind: "unknown" } as const)
        : hasNone
          ? ({ kind: "none" } as const)
          : await digestBody(bytes, { coding, type });
    return { status: response.statusCode ?? 0, fields: toPairs(response.rawHeaders), body };
  } catch (error) {
    const isLate = limit.aborted && !signal.aborted;
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { failure: isLate ? `no answer within ${ANSWER_MS} ms` : code };
  }
}

/** @returns `null`: the body is too large. The connection is closed then. */
async function readBytes(response: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Responses of node:http yield buffers as long as no encoding is set.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MOST_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function toPairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) =>
    hideCookie([(raw[index * 2] ?? "").toLowerCase(), raw[index * 2 + 1] ?? ""]),
  );
}

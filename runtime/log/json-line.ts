import type { UpstreamNote } from "../http/client.ts";
import {
  type AccessRules,
  type FieldsPart,
  type LineOptions,
  type LoggedHead,
  type RequestPart,
  toFieldsPart,
  toRequestPart,
  type WriteLine,
} from "./access-entry.ts";
import { escape } from "./access-line.ts";
import type { ByteWriter } from "./byte-writer.ts";
import type { LineBatch } from "./line-batch.ts";

/**
 * Creates a JSON format, in which the fields of the other log lines (`level`, `time`) come first.
 *
 * Lines are ASCII. Texts of clients are cut at `MOST_CHARACTERS`, so a line is shorter than 4096 bytes, the size of an
 * atomic write to a pipe. Consecutive requests mostly have the same client, target and fields, so their escaped form is
 * kept. Other parts are written as bytes. Joined strings would take 0.6 µs and make garbage,
 * and `JSON.stringify` 2 µs.
 */
export function createJsonLines(
  batch: LineBatch,
  { rules, requestIdPrefix }: LineOptions,
): WriteLine {
  const before = createRequestBytes(rules);
  const after = createFieldsBytes(rules);
  const requestIdOf = toBytes(`,"requestId":"${escape(requestIdPrefix)}`);

  return (exchange, { status, bytes, nowMs, timeMs }) => {
    if (batch.isClosed) return;
    const { id, head, receivedMs, workerId, limitedBy, upstream, cached, passedOn } = exchange;
    const line = batch.beginLine();
    line.bytes(before(head, timeMs));
    line.number(status);
    line.bytes(BYTES);
    line.number(bytes);
    line.bytes(DURATION);
    line.milliseconds(nowMs - receivedMs);
    line.bytes(WORKER);
    if (workerId === null) line.bytes(NULL);
    else line.number(workerId);
    if (upstream !== null && upstream !== undefined) writeUpstream(line, upstream);
    if (cached !== null && cached !== undefined) line.ascii(`,"cache":"${cached}"`);
    if (passedOn === true) line.ascii(',"passedOn":true');
    if (limitedBy !== null) line.ascii(`,"limit":"${limitedBy}"`);
    if (head.requestId === null || head.requestId === undefined) {
      line.bytes(requestIdOf);
      line.base36(id);
    } else line.ascii(`,"requestId":"${escape(head.requestId)}`);
    line.bytes(after(head.fields));
    batch.endLine();
  };
}

const BYTES = toBytes(',"bytes":');
const DURATION = toBytes(',"durationMs":');
const WORKER = toBytes(',"worker":');
const NULL = toBytes("null");

function writeUpstream(line: ByteWriter, upstream: UpstreamNote): void {
  const { name, attempts, status, durationMs } = upstream;
  line.ascii(`,"upstream":${quote(name)},"upstreamStatus":${String(status)},"upstreamMs":`);
  if (durationMs === null) line.bytes(NULL);
  else line.milliseconds(durationMs);
  if (attempts > 1) line.ascii(`,"attempts":${attempts}`);
}

/** Text before the time. */
const START = '{"level":"info","time":"';

/** Creates a format for the line up to its status. Reuses the result for consecutive equal requests. */
function createRequestBytes(rules: AccessRules): (head: LoggedHead, timeMs: number) => Uint8Array {
  let last: LoggedHead | null = null;
  let lastTimeMs = Number.NaN;
  let lastSecond = Number.NaN;
  let bytes: Buffer = Buffer.alloc(0);

  function writeTime(timeMs: number): void {
    const second = Math.floor(timeMs / 1000);
    if (second === lastSecond) {
      const ms = String(timeMs - second * 1000).padStart(3, "0");
      bytes.write(ms, START.length + MS_AT, "latin1");
    } else {
      bytes.write(new Date(timeMs).toISOString(), START.length, "latin1");
      lastSecond = second;
    }
    lastTimeMs = timeMs;
  }

  return (head, timeMs) => {
    if (
      last === null ||
      head.target !== last.target ||
      head.clientAddress !== last.clientAddress ||
      head.method !== last.method ||
      head.origin !== last.origin ||
      head.protocol !== last.protocol
    ) {
      last = head;
      bytes = toBytes(
        `${START}0000-00-00T00:00:00.000Z${formatRequest(toRequestPart(head, rules))}`,
      );
      lastSecond = Number.NaN;
      writeTime(timeMs);
    } else if (timeMs !== lastTimeMs) writeTime(timeMs);
    return bytes;
  };
}

/** Index of the milliseconds in a time (RFC 3339 in UTC). */
const MS_AT = 20;

function formatRequest(request: RequestPart): string {
  const { clientAddress, scheme, host, method, path, query, protocol } = request;
  return (
    `","component":"access","clientAddress":${quote(clientAddress)}` +
    `,"scheme":"${scheme}","host":${quoteOrNull(host)}` +
    (protocol === "HTTP/1.1" ? "" : `,"protocol":"${protocol}"`) +
    `,"method":${quote(method)},"path":${quote(path)}` +
    (query === undefined ? "" : `,"query":${quoteOrNull(query)}`) +
    ',"status":'
  );
}

/** Creates a format for the line from the end of its request id on. Reuses the result for consecutive equal fields. */
function createFieldsBytes(rules: AccessRules): (block: string | null) => Uint8Array {
  let lastBlock: string | null = null;
  let bytes = toBytes(formatFields(toFieldsPart(null, rules)));
  return (block) => {
    if (block !== lastBlock) {
      lastBlock = block;
      bytes = toBytes(formatFields(toFieldsPart(block, rules)));
    }
    return bytes;
  };
}

function formatFields({ traceparent, referer, userAgent }: FieldsPart): string {
  return (
    (traceparent === undefined ? '"' : `","traceparent":"${traceparent}"`) +
    (referer === undefined ? "" : `,"referer":${quoteOrNull(referer)}`) +
    (userAgent === undefined ? "" : `,"userAgent":${quoteOrNull(userAgent)}`) +
    "}\n"
  );
}

function quote(text: string): string {
  return `"${escape(text)}"`;
}

function quoteOrNull(text: string | null): string {
  return text === null ? "null" : quote(text);
}

function toBytes(ascii: string): Buffer {
  return Buffer.from(ascii, "latin1");
}

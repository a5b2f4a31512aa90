import type { IncomingMessage } from "node:http";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import type { Question } from "./explanation.ts";
import type { Greeting, Operations } from "./operations.ts";

/** Longest body of a command: it holds an id at most. */
export const MAX_BODY_BYTES = 4096;

/** Longest body of a question: it holds the head of a request. */
const MAX_QUESTION_BYTES = 256 * 1024;

/** The answer to a command, as JSON. */
export interface CommandAnswer {
  status: number;
  value: unknown;
  /** The field `allow`, with the status 405. */
  allow?: string;
}

export interface CommandOptions {
  /** The path of the command: `/reload`. */
  pathname: string;
  log: Logger;
  greet: () => Greeting;
  operations: Promise<Partial<Operations>>;
}

/** Paths and their methods. The control server itself answers `/stop`. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ["/", "GET"],
  ["/status", "GET"],
  ["/generations", "GET"],
  ["/restarts", "GET"],
  ["/reload", "POST"],
  ["/rollback", "POST"],
  ["/purge", "POST"],
  ["/explain", "POST"],
  ["/config", "GET"],
  ["/routes", "GET"],
  ["/recycle", "POST"],
  ["/drain", "POST"],
  ["/cron", "GET"],
  ["/cron/run", "POST"],
  ["/stop", "POST"],
]);

/** Runs the command of a request. Never rejects: the answer has the failure. */
export async function runCommand(
  request: IncomingMessage,
  { pathname, log, greet, operations }: CommandOptions,
): Promise<CommandAnswer> {
  const { method = "" } = request;
  const expected = METHODS.get(pathname);
  if (expected === undefined) return refuse(404, `Cannot find ${pathname}`);
  if (method !== expected) {
    const message = `Cannot ${method} ${pathname}: expected ${expected}`;
    return { ...refuse(405, message), allow: expected };
  }
  try {
    const maxBytes = pathname === "/explain" ? MAX_QUESTION_BYTES : MAX_BODY_BYTES;
    const body = await readBody(request, maxBytes);
    if (body === null) return refuse(413, `Cannot read ${pathname}: expected a short request`);
    if (pathname === "/") return { status: 200, value: greet() };
    return await answerCommand(await operations, { pathname, body, log });
  } catch (error) {
    return toLoggedRefusal(error, log);
  }
}

/** Runs the command of a path. Never rejects: the answer has the failure. */
export async function answerCommand(
  operations: Partial<Operations>,
  { pathname, body, log }: { pathname: string; body: string; log: Logger },
): Promise<CommandAnswer> {
  try {
    const answer = await runOperation(operations, { pathname, body });
    return answer ?? refuse(404, `Cannot ${pathname.slice(1)}: this server does not offer it`);
  } catch (error) {
    return toLoggedRefusal(error, log);
  }
}

/** @returns `null`: this server does not offer the operation. */
async function runOperation(
  operations: Partial<Operations>,
  { pathname, body }: { pathname: string; body: string },
): Promise<CommandAnswer | null> {
  switch (pathname) {
    case "/status": {
      const status = operations.status?.();
      return answered(status && { ...status, live: await operations.look?.() });
    }
    case "/recycle": {
      const worker = readMember(body, "worker");
      return Number.isSafeInteger(worker)
        ? answered(operations.recycle?.(Number(worker)))
        : refuse(400, 'Cannot recycle: expected {"worker": 3} with the number of a worker');
    }
    case "/drain": {
      const draining = readMember(body, "draining");
      return typeof draining === "boolean"
        ? answered(operations.drain?.(draining))
        : refuse(400, 'Cannot drain: expected {"draining": true} or {"draining": false}');
    }
    case "/generations":
      return answered(await operations.generations?.());
    case "/restarts":
      return answered(await operations.restarts?.());
    case "/config":
      return answered(operations.config?.());
    case "/routes":
      return answered(operations.routes?.());
    case "/cron":
      return answered(operations.cron?.());
    case "/cron/run": {
      const [route, cron] = [readMember(body, "route"), readMember(body, "cron") ?? null];
      return typeof route === "string" && (cron === null || typeof cron === "string")
        ? answered(await operations.runCron?.(route, cron))
        : refuse(400, 'Cannot run: expected {"route": "/path"}, perhaps with "cron"');
    }
    case "/reload":
      return answered(await operations.reload?.());
    case "/rollback": {
      const id = readId(body);
      const expected = 'expected no body, or {"id": "..."} as /generations lists it';
      return id === false
        ? refuse(400, `Cannot roll back: ${expected}`)
        : answered(await operations.rollback?.(id));
    }
    case "/purge": {
      const entries = readMember(body, "entries");
      return typeof entries === "string"
        ? answered(await operations.purge?.(entries))
        : refuse(400, 'Cannot purge: expected {"entries": "..."}');
    }
    case "/explain": {
      const question = toQuestion(body);
      return question === null
        ? refuse(400, `Cannot explain: expected ${QUESTION_EXPECTED}`)
        : answered(await operations.explain?.(question));
    }
    default:
      return null;
  }
}

const QUESTION_EXPECTED =
  '{"method": "GET", "url": "https://...", "fields": [["name", "value"]], "client": "192.0.2.1" or null}';

/** @returns `null`: the body has another form. */
function toQuestion(body: string): Question | null {
  const [method, url] = [readMember(body, "method"), readMember(body, "url")];
  const [fields, client] = [readMember(body, "fields") ?? [], readMember(body, "client") ?? null];
  if (typeof method !== "string" || typeof url !== "string" || !Array.isArray(fields)) return null;
  if (client !== null && typeof client !== "string") return null;
  return fields.every(isField) ? { method, url, fields, client } : null;
}

function isField(field: unknown): field is [string, string] {
  return (
    Array.isArray(field) && field.length === 2 && field.every((part) => typeof part === "string")
  );
}

/** Returns a member of a JSON object; `undefined`: there is none, or the body has another form. */
function readMember(body: string, name: string): unknown {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
  } catch {
    return undefined;
  }
}

function answered(value: unknown): CommandAnswer | null {
  return value === undefined ? null : { status: 200, value };
}

/** @returns `undefined`: the body names no id; `false`: the body has another form. */
function readId(body: string): string | undefined | false {
  if (body === "") return undefined;
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== "object" || value === null) return false;
    const { id } = value as { id?: unknown };
    if (id === undefined) return undefined;
    return typeof id === "string" && /^[\w.-]{1,100}$/.test(id) ? id : false;
  } catch {
    return false;
  }
}

/** Returns the body of a request as text; `null`: it is too long. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Requests of node:http yield buffers as long as no encoding is set.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Returns the answer to a command that is refused. */
export function refuse(status: number, message: string): CommandAnswer {
  return { status, value: { error: { code: null, message } } };
}

function toLoggedRefusal(error: unknown, log: Logger): CommandAnswer {
  if (!(error instanceof RuntimeError)) log.error({ err: error }, "a command failed: bug");
  return toRefusal(error);
}

/** Returns the answer to a command that failed. */
export function toRefusal(error: unknown): CommandAnswer {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof RuntimeError ? error.code : null;
  const fault = error instanceof RuntimeError ? error.fault : "runtime";
  const status = fault === "operator" ? 422 : fault === "capacity" ? 503 : 500;
  return { status, value: { error: { code, message } } };
}

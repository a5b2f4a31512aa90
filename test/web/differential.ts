import assert from "node:assert/strict";
import { inspect } from "node:util";

/** A small program; what it returns, or throws, must be the same with Node's classes and with ours. */
export type Program = () => unknown;
export type Programs = Record<string, Program>;

/** Runs the programs, one after the other: name to what came of it, as text that can be compared. */
export async function runPrograms(programs: Programs): Promise<Map<string, string>> {
  const outcomes = new Map<string, string>();
  for (const [name, program] of Object.entries(programs)) {
    outcomes.set(name, await outcomeOf(program));
  }
  return outcomes;
}

/** Fails with all differences at once. */
export function assertSame(expected: Map<string, string>, actual: Map<string, string>): void {
  const differences = [...expected]
    .filter(([name, outcome]) => actual.get(name) !== outcome)
    .map(
      ([name, outcome]) => `${name}\n  Node: ${outcome}\n  ours: ${actual.get(name) ?? "nothing"}`,
    );
  assert.equal(differences.length, 0, `${differences.length} differ:\n${differences.join("\n")}`);
}

export async function outcomeOf(program: Program): Promise<string> {
  try {
    return `gives ${text(await program())}`;
  } catch (error) {
    return `throws ${describeError(error)}`;
  }
}

/** The same for code that must fail at once, not in a promise. */
export function thrownBy(program: Program): string {
  try {
    program();
    return "nothing";
  } catch (error) {
    return describeError(error);
  }
}

/** All that can be seen of a response from outside, its body last. */
export async function showResponse(response: Response): Promise<unknown> {
  const { status, statusText, ok, type, url, redirected, bodyUsed } = response;
  const headers = showHeaders(response.headers);
  const seen = { status, statusText, ok, type, url, redirected, bodyUsed, headers };
  return { ...seen, body: await readAll(response), usedAfter: response.bodyUsed };
}

const REQUEST_MEMBERS = ["method", "url", "bodyUsed", "mode", "credentials", "cache", "redirect"];
REQUEST_MEMBERS.push(
  "referrer",
  "referrerPolicy",
  "integrity",
  "keepalive",
  "duplex",
  "destination",
);

/** All that can be seen of a request from outside, its body last. */
export async function showRequest(request: Request): Promise<unknown> {
  const seen = REQUEST_MEMBERS.map((name) => [name, Reflect.get(request, name) as unknown]);
  return {
    ...(Object.fromEntries(seen) as object),
    aborted: request.signal.aborted,
    headers: showHeaders(request.headers),
    body: await readAll(request),
    usedAfter: request.bodyUsed,
  };
}

export function showHeaders(headers: Headers): unknown {
  return { entries: [...headers], cookies: headers.getSetCookie() };
}

export function hex(bytes: ArrayBuffer | Uint8Array): string {
  return Buffer.from(new Uint8Array(bytes)).toString("hex");
}

/** The chunks of a stream, as text. */
export async function readChunks(stream: ReadableStream | null): Promise<unknown> {
  if (stream === null) return null;
  const chunks: string[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array).toString());
  return chunks;
}

/** Descriptors without the functions themselves: names, lengths and flags. */
export function describeMembers(object: object): unknown {
  return Object.entries(Object.getOwnPropertyDescriptors(object))
    .filter(([key]) => key !== "prototype")
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, descriptor]) => {
      const { enumerable, configurable, writable } = descriptor;
      const functions = ["get", "set", "value"].map((name) => {
        const member: unknown = Reflect.get(descriptor, name);
        return typeof member === "function" ? [member.name, member.length] : typeof member;
      });
      return { key, enumerable, configurable, writable, functions };
    });
}

async function readAll(message: Request | Response): Promise<unknown> {
  try {
    return hex(await message.arrayBuffer());
  } catch (error) {
    return describeError(error);
  }
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return text(error);
  const { name } = error;
  // V8 takes the name of a class from its source: a detail that differs between versions of Node, too.
  const message = error.message.replaceAll(/\b(?:_|Fast)(Request|Response)\b/g, "$1");
  const code = "code" in error ? error.code : undefined;
  return text({ class: error.constructor.name, name, message, code });
}

function text(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 500 });
}

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HttpClient } from "../helpers/http-client.ts";
import { PYTHON_FIXTURES, startPythonServer } from "../helpers/python-server.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";

const FOLDER = join(PYTHON_FIXTURES, "frameworks");

interface Entry {
  path: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  /** Size of an uploaded file. */
  fill?: number;
}

interface Answer {
  status: number;
  headers: [name: string, value: string][];
  /** One character per byte. */
  body: string;
}

// The file has this shape.
const ENTRIES = JSON.parse(readFileSync(join(FOLDER, "frameworks.json"), "utf8")) as Entry[];

/** Fields that the server writes itself, or that differ by the time. */
const IGNORED = new Set(["date", "connection", "keep-alive", "transfer-encoding", "server"]);

/** Returns what must be equal in process and over the wire. */
function comparable({ status, headers, body }: Answer, isHead: boolean): object {
  const fields = headers
    .filter(([name]) => !IGNORED.has(name))
    // A test client states the length of a body that it holds; a server that streams does not.
    .filter(([name]) => name !== "content-length" || (!isHead && status !== 204 && status !== 304))
    .filter(([name, value]) => name !== "content-length" || Number(value) !== body.length)
    .map(([name, value]) => [name, name === "allow" ? sorted(value) : value] as const)
    .map(([name, value]) => `${name}: ${value.replace(/(expires)=[^;]+/i, "$1=...")}`);
  // A test client leaves the body that a server must not send.
  const hasBody = !isHead && status !== 204 && status !== 304;
  return { status, fields: fields.toSorted(), body: hasBody ? body : "" };
}

/** Flask lists methods in the order of a set. */
function sorted(list: string): string {
  return list.split(", ").toSorted().join(", ");
}

/** The same body as `in_process.py` makes. */
function toBody({ fill, body = "" }: Entry): Buffer {
  if (fill === undefined) return Buffer.from(body, "latin1");
  const parts = [
    '--boundary\r\nContent-Disposition: form-data; name="note"\r\n\r\nn\r\n',
    '--boundary\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\n',
    `${"x".repeat(fill)}\r\n--boundary--\r\n`,
  ];
  return Buffer.from(parts.join(""));
}

function describeEntry({ method = "GET", path, headers = {}, fill }: Entry): string {
  return `${method} ${path} ${JSON.stringify({ ...headers, fill })}`;
}

for (const [framework, packages, flags] of [
  ["flask", ["flask"], []],
  ["flask", ["flask"], ["--threads", "4"]],
  ["django", ["django"], []],
  ["fastapi", ["fastapi", "httpx"], []],
] as const) {
  const title = [framework, ...flags].join(" ");
  describe(`an application of ${title}`, { skip: skipWithoutPython(packages) }, () => {
    it("answers over the wire as to its own test client", { timeout: 180_000 }, async (t) => {
      const python = findPython(packages) ?? "";
      const { stdout, stderr } = spawnSync(python, [join(FOLDER, "in_process.py"), framework], {
        encoding: "utf8",
        maxBuffer: 64 * 1024 ** 2,
      });
      // The program prints a list of answers.
      const expected = JSON.parse(stdout || stderr) as Answer[];
      assert.equal(expected.length, ENTRIES.length);
      const server = await startPythonServer(t, {
        app: `${framework}_app:app`,
        packages,
        // Compression adds `vary` to text.
        flags: ["--app-dir", FOLDER, "--compression", "off", ...flags],
      });
      const client = new HttpClient(t, server.http, { connections: 1 });
      for (const [number, entry] of ENTRIES.entries()) {
        const { method = "GET", path } = entry;
        const body = toBody(entry);
        const type =
          entry.fill === undefined
            ? {}
            : { "Content-Type": "multipart/form-data; boundary=boundary" };
        const answer = await client.request(path, {
          method,
          headers: { Host: "testserver", ...type, ...entry.headers },
          ...(body.length > 0 && { body }),
        });
        const headers = Object.entries(answer.headers).flatMap(([name, value]) =>
          [value ?? ""].flat().map((each): [string, string] => [name, each]),
        );
        const found = { status: answer.status, headers, body: answer.body.toString("latin1") };
        const isHead = method === "HEAD";
        assert.deepEqual(
          comparable(found, isHead),
          comparable(merged(expected[number]), isHead),
          describeEntry(entry),
        );
      }
    });
  });
}

/** Joins repeated fields, as Node's client does. */
function merged(answer: Answer | undefined): Answer {
  assert.ok(answer !== undefined);
  const joined = new Map<string, string>();
  const cookies: [string, string][] = [];
  for (const [name, value] of answer.headers) {
    const before = joined.get(name);
    if (name === "set-cookie") cookies.push([name, value]);
    else joined.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { ...answer, headers: [...joined, ...cookies] };
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { createRequest } from "../../runtime/web/fast-request.ts";
import { readResponse } from "../../runtime/web/fast-response.ts";
import { parseFields } from "../../runtime/web/fields.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
import { hex, outcomeOf, showHeaders, showResponse } from "./differential.ts";

const NodeResponse = globalThis.Response;
const NodeRequest = globalThis.Request;
installWebObjects();

/** Mostly what handlers write; sometimes what they should not. */
const nameText = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9a-zA-Z]{1,12}$/) },
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      "content-type",
      "Content-Type",
      "Set-Cookie",
      "set-cookie",
      "vary",
      "VARY",
      "cookie",
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 4 }) },
);
const valueText = fc.oneof(
  { weight: 6, arbitrary: fc.string({ maxLength: 30 }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom("", "vary", "content-type", "text/html", " a", "b\t", "\tc d\r\n"),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 6 }) },
);
const value: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 9, arbitrary: valueText },
  { weight: 1, arbitrary: fc.constantFrom(1, 0.5, null, undefined, true, [1], {}) },
);
const pairs = fc.array(fc.tuple(nameText, value), { maxLength: 6 });
const headers = fc.oneof(
  pairs,
  pairs.map((entries) => Object.fromEntries(entries)),
  pairs.map((entries) => new Map(entries)),
);
const status = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(undefined, 200, 201, 204, 304, 404) },
  { weight: 1, arbitrary: fc.oneof(fc.integer(), fc.double(), fc.string({ maxLength: 4 })) },
);
const init = fc.record(
  { status, statusText: fc.option(valueText, { nil: undefined }), headers },
  { requiredKeys: [] },
);
const body = fc.oneof(
  fc.constantFrom(undefined, null, ""),
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => bytes.buffer),
);

describe("new Response()", () => {
  it("is or throws what Node's is or throws, for any body and init", async () => {
    await fc.assert(
      fc.asyncProperty(body, init, async (theBody, theInit) => {
        const args = [theBody, theInit] as [string, ResponseInit]; // or not: then both refuse
        const expected = await outcomeOf(() => showResponse(new NodeResponse(...args)));
        assert.equal(await outcomeOf(() => showResponse(new Response(...args))), expected);
      }),
      { numRuns: 1000 },
    );
  });

  it("sends what Node's would send", async () => {
    await fc.assert(
      fc.asyncProperty(body, init, async (theBody, theInit) => {
        const args = [theBody, theInit] as [string, ResponseInit]; // as above
        let node: Response;
        try {
          node = new NodeResponse(...args);
        } catch {
          return;
        }
        const parts = readResponse(new Response(...args));
        assert.deepEqual([parts?.status, parts?.statusText], [node.status, node.statusText]);
        assert.deepEqual(pairsOf(parts?.fields ?? ""), [...node.headers]);
        assert.equal(parts?.body === null, node.body === null);
        const sent = new NodeResponse(parts?.body);
        assert.equal(hex(await sent.arrayBuffer()), hex(await node.arrayBuffer()));
      }),
      { numRuns: 700 },
    );
  });
});

/** Sorted by name, as `Headers` gives them. */
function pairsOf(block: string): string[][] {
  const parts = block === "" ? [] : block.split("\n");
  const names = parts.filter((_, at) => at % 2 === 0);
  return names
    .map((name, at) => [name, parts[at * 2 + 1] ?? ""])
    .toSorted(([a = ""], [b = ""]) => (a === b ? 0 : a < b ? -1 : 1));
}

/** What one may do to a response; the outcome of each step is compared. */
const STEPS: Record<string, (response: Response) => unknown> = {
  headers: (response) => showHeaders(response.headers),
  set: (response) => response.headers.set("content-type", "X/Y"),
  append: (response) => response.headers.append("set-cookie", "c=1"),
  delete: (response) => response.headers.delete("content-type"),
  bodyUsed: (response) => response.bodyUsed,
  body: (response) => [
    response.body === null,
    response.body?.locked,
    response.body === response.body,
  ],
  clone: (response) => showResponse(response.clone()),
  text: (response) => response.text(),
  json: (response) => response.json(),
  bytes: async (response) => hex(await response.arrayBuffer()),
  blob: async (response) => (await response.blob()).type,
  lock: (response) => void response.body?.getReader(),
  read: async (response) => (await response.body?.getReader().read())?.done,
  cancel: (response) => response.body?.cancel(),
  // Not read: both would share the stream, and the first reading decides.
  copy: (response) => showHeaders(new Response(response.body, response).headers),
};

const steps = fc.array(fc.constantFrom(...Object.keys(STEPS)), { minLength: 1, maxLength: 7 });
const plainBody = fc.constantFrom(null, "", "hi", "[1]", "\ufeffx", new Uint8Array([0x68, 0x69]));

async function follow(target: Response | Request, names: string[]): Promise<string[]> {
  const outcomes: string[] = [];
  for (const name of names) {
    outcomes.push(`${name} ${await outcomeOf(() => STEPS[name]?.(target as Response))}`); // a request has all of that
  }
  return outcomes;
}

describe("Response", () => {
  it("behaves as Node's in any order of steps", async () => {
    await fc.assert(
      fc.asyncProperty(plainBody, steps, async (theBody, names) => {
        const expected = await follow(new NodeResponse(theBody), names);
        assert.deepEqual(await follow(new Response(theBody), names), expected);
      }),
      { numRuns: 700 },
    );
  });
});

describe("createRequest()", () => {
  it("behaves as Node's requests in any order of steps", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(null, "", "hi", "[1]", "\ufeffx"),
        steps.map((names) => names.filter((name) => name !== "clone" && name !== "copy")),
        async (text, names) => {
          const theBody = text === null ? null : new TextEncoder().encode(text);
          const parts = {
            method: "POST",
            url: "http://a/",
            fields: "content-type\nA/B",
            body: theBody,
          };
          const { url, method } = parts;
          const node = new NodeRequest(url, {
            method,
            headers: parseFields(parts.fields),
            body: theBody,
          });
          const expected = await follow(node, names);
          assert.deepEqual(await follow(createRequest(parts), names), expected);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { toCodedTag, toPlainConditions, toPlainTags } from "../../runtime/compress/coded-tag.ts";
import { isCompressibleType } from "../../runtime/compress/compressible.ts";
import { type AnswerHead, planAnswer } from "../../runtime/compress/plan-answer.ts";

const HTML = "content-type\ntext/html; charset=utf-8";
const BROWSER = "accept-encoding\ngzip, deflate, br";

function plan(answer: Partial<AnswerHead>, request = BROWSER) {
  const head = { status: 200, fields: HTML, sizeBytes: 2000, ...answer };
  return planAnswer(head, request, ["br", "gzip"]);
}

function fieldsOf(block: string): Record<string, string> {
  const parts = block.split("\n");
  return Object.fromEntries(
    parts.flatMap((name, at) => (at % 2 === 0 ? [[name, parts[at + 1] ?? ""]] : [])),
  );
}

describe("planAnswer()", () => {
  it("compresses text, and says so in one vary field", () => {
    const own = `${HTML}\nvary\nCookie\ncontent-length\n2000\naccept-ranges\nbytes\netag\n"a"`;
    const planned = plan({ fields: own });
    assert.equal(planned?.coding, "br");
    assert.deepEqual(fieldsOf(planned.fields), {
      "content-type": "text/html; charset=utf-8",
      etag: 'W/"a-br"',
      vary: "Cookie, accept-encoding",
      "content-encoding": "br",
    });
    assert.equal(fieldsOf(planned.plainFields)["etag"], '"a"');
    assert.equal(planned.plainFields.match(/vary\n/g)?.length, 1);
    // A body of unknown size, whose length comes first.
    const stream = plan({ fields: `content-length\n5\n${HTML}`, sizeBytes: null });
    assert.equal(stream?.coding, "br");
    assert.equal(fieldsOf(stream.fields)["content-length"], undefined);
  });

  const varies: [name: string, answer: Partial<AnswerHead>, request: string][] = [
    ["a client that did not ask", {}, ""],
    ["a client that forbids it", {}, "accept-encoding\ngzip;q=0, br;q=0"],
    ["another site", {}, `${BROWSER}\nsec-fetch-site\ncross-site`],
    ["a part", { status: 206 }, BROWSER],
    ["a part under another status", { fields: `${HTML}\ncontent-range\nbytes 0-1/9` }, BROWSER],
  ];
  for (const [name, answer, request] of varies) {
    it(`leaves it plain, with vary, for ${name}`, () => {
      const planned = plan(answer, request);
      assert.equal(planned?.coding, null);
      assert.equal(fieldsOf(planned.fields)["vary"], "accept-encoding");
      assert.equal(fieldsOf(planned.fields)["content-encoding"], undefined);
    });
  }

  const kept: [name: string, answer: Partial<AnswerHead>][] = [
    ["an image", { fields: "content-type\nimage/png" }],
    ["a body without a type", { fields: "" }],
    [
      "an event stream",
      { fields: "content-type\ntext/event-stream;charset=utf-8", sizeBytes: null },
    ],
    ["a small body", { sizeBytes: 1023 }],
    ["204", { status: 204 }],
    ["a coding", { fields: `${HTML}\ncontent-encoding\ngzip` }],
    ["a coding that comes first", { fields: `content-encoding\nidentity\n${HTML}` }],
    ["no-transform", { fields: `${HTML}\ncache-control\npublic, No-Transform, max-age=5` }],
    ["a digest", { fields: `${HTML}\ncontent-digest\nsha-256=:abc=:` }],
  ];
  for (const [name, answer] of kept) {
    it(`leaves ${name} as it is`, () => assert.equal(plan(answer), null));
  }

  it("is not misled by a value that looks like a field", () => {
    for (const name of ["content-encoding", "content-length", "content-range", "etag", "vary"]) {
      const planned = plan({ fields: `x-note\n${name}\n${HTML}` });
      assert.equal(planned?.coding, "br");
      assert.deepEqual(fieldsOf(planned.fields), {
        "x-note": name,
        "content-type": "text/html; charset=utf-8",
        vary: "accept-encoding",
        "content-encoding": "br",
      });
    }
  });

  it("gives a 304 the tag that the client has", () => {
    const fields = 'etag\n"a"';
    const tagOf = (known: string) =>
      fieldsOf(
        plan({ status: 304, fields, sizeBytes: null }, `if-none-match\n${known}`)?.fields ?? "",
      );
    assert.deepEqual(tagOf('W/"b-gzip", W/"a-gzip"'), {
      etag: 'W/"a-gzip"',
      vary: "accept-encoding",
    });
    assert.deepEqual(tagOf('"a"'), { etag: '"a"', vary: "accept-encoding" });
  });

  it("takes the coding that the client likes most", () => {
    assert.equal(plan({}, "accept-encoding\ngzip;q=1, br;q=0.5")?.coding, "gzip");
    assert.equal(plan({}, "accept-encoding\n*")?.coding, "br");
  });
});

describe("toCodedTag()", () => {
  it("is undone by toPlainTags()", () => {
    for (const tag of ['"a"', 'W/"a"', '""', '"a-br"', 'W/"x,y"', '"33a64df551425fcc55e"']) {
      for (const coding of ["br", "gzip", "zstd"] as const) {
        const coded = toCodedTag(tag, coding);
        assert.match(coded, /^W\/"/);
        assert.equal(toPlainTags(`"z", ${coded}`), `"z", ${tag}`);
      }
    }
  });

  it("leaves other text alone", () => {
    assert.equal(toCodedTag("a", "br"), "a");
    assert.equal(toPlainTags('"a-br", W/"b", *'), '"a-br", W/"b", *');
  });
});

describe("toPlainConditions()", () => {
  it("changes conditions only", () => {
    const fields = 'if-match\nW/"a-br"\nx\nW/"a-br"\nif-none-match\nW/"b--gzip"';
    assert.equal(toPlainConditions(fields), 'if-match\n"a"\nx\nW/"a-br"\nif-none-match\nW/"b"');
  });
});

describe("isCompressibleType()", () => {
  const yes = [
    "text/html",
    "TEXT/CSS; x=y",
    "application/json",
    "application/ld+json",
    "image/svg+xml",
    "application/wasm",
    "application/xhtml+xml",
    "text/javascript;charset=utf-8",
    "font/ttf",
  ];
  const no = [
    "text/event-stream",
    "text/event-stream;charset=utf-8",
    "image/png",
    "font/woff2",
    "application/zip",
    "application/octet-stream",
    "video/mp4",
    "",
    "application/jsonx",
    "constructor",
  ];
  for (const type of yes) it(`takes ${type}`, () => assert.ok(isCompressibleType(type)));
  for (const type of no) it(`leaves "${type}"`, () => assert.ok(!isCompressibleType(type)));
});

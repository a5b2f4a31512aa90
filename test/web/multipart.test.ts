import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { parseMultipart } from "../../runtime/web/multipart.ts";

const TYPE = "multipart/form-data; boundary=b";

/** A text, or a file: `name|type|content`. */
async function entriesOf(form: FormData): Promise<[string, string][]> {
  return Promise.all(
    [...form].map(async ([name, value]): Promise<[string, string]> => [
      name,
      typeof value === "string" ? value : `${value.name}|${value.type}|${await value.text()}`,
    ]),
  );
}

function parse(body: string, type = TYPE): Promise<[string, string][]> {
  return entriesOf(parseMultipart(Buffer.from(body), type));
}

function part(disposition: string, content = "hi", more = ""): string {
  return `--b\r\nContent-Disposition: form-data; ${disposition}\r\n${more}\r\n${content}\r\n`;
}

const END = "--b--\r\n";

/** CPU time of reading ten parts whose type has 60,000 times the filler. */
async function cpuMicrosOf(filler: string): Promise<number> {
  const type = `Content-Type: a/b;${filler.repeat(60_000)}c\r\n`;
  const body = part('name="f"; filename="a"', "hi", type).repeat(10) + END;
  const before = process.cpuUsage();
  const entries = await parse(body);
  assert.equal(entries.length, 10);
  assert.deepEqual(entries[0]?.[0], "f");
  return process.cpuUsage(before).user;
}

describe("parseMultipart()", () => {
  const taken: [title: string, body: string, entries: [string, string][]][] = [
    ["a text", part('name="f"') + END, [["f", "hi"]]],
    ["no part", END, []],
    ["no line end after the last boundary", `${part('name="f"')}--b--`, [["f", "hi"]]],
    [
      "parts of .NET",
      `--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name=t\r\n\r\nhi\r\n${part(
        `name=f; filename="=?utf-8?B?bmHDr3ZlLnR4dA==?="; filename*=utf-8''na%C3%AFve.txt`,
      )}${END}`,
      [
        ["t", "hi"],
        ["f", "naïve.txt|text/plain|hi"],
      ],
    ],
    [
      "filename* alone",
      part(`name="f"; filename*=UTF-8''a%20b.txt`) + END,
      [["f", "a b.txt|text/plain|hi"]],
    ],
    [
      "filename* in Latin-1",
      part(`name="f"; filename*=ISO-8859-1'en'na%EFve`) + END,
      [["f", "naïve|text/plain|hi"]],
    ],
    [
      "a filename* that is none",
      part(`name="f"; filename*=x; filename="a"`) + END,
      [["f", "a|text/plain|hi"]],
    ],
    [
      "a name in UTF-8",
      part(`name="ü"; filename="naïve.txt"`) + END,
      [["ü", "naïve.txt|text/plain|hi"]],
    ],
    ["escapes of browsers", part(`name="a%22b%0D%0A"`) + END, [['a"b\r\n', "hi"]]],
    [
      "escapes of others",
      part(`name="f"; filename="a\\"b;.txt"`) + END,
      [["f", 'a"b;.txt|text/plain|hi']],
    ],
    [
      "a path of old browsers",
      part(`name="f"; filename="C:\\dir\\a.txt"`) + END,
      [["f", "C:\\dir\\a.txt|text/plain|hi"]],
    ],
    [
      "no file chosen",
      part(`name="f"; filename=""`, "", "Content-Type: application/octet-stream\r\n") + END,
      [["f", "|application/octet-stream|"]],
    ],
    ["an empty text", part(`name="f"`, "") + END, [["f", ""]]],
    [
      "other fields, in other letters",
      part(`NAME="f"`, "hi", "content-length: 2\r\nX-A:\r\n") + END,
      [["f", "hi"]],
    ],
    [
      "parameters in another order",
      part(`filename="a"; name="f"`) + END,
      [["f", "a|text/plain|hi"]],
    ],
    [
      "a preamble and an epilogue",
      `before\r\n${part('name="f"')}${END}after\r\n--b\r\n`,
      [["f", "hi"]],
    ],
    ["blanks after a boundary", part('name="f"').replace("--b", "--b \t") + END, [["f", "hi"]]],
    [
      "content that looks like a boundary",
      part('name="f"', "--b\r\n--bx\r\n --b\r\n\r\n--").replace(
        "\r\n--b\r\n--bx",
        "\r\n--c\r\n--bx",
      ) + END,
      [["f", "--c\r\n--bx\r\n --b\r\n\r\n--"]],
    ],
  ];
  for (const [title, body, entries] of taken) {
    it(`takes ${title}`, async () => {
      assert.deepEqual(await parse(body), entries);
    });
  }

  const types = [
    'multipart/form-data; boundary="b"',
    "multipart/form-data; charset=utf-8; boundary=b",
    "Multipart/Form-Data;Boundary=b ; charset=utf-8",
  ];
  for (const type of types) {
    it(`finds the boundary in ${type}`, async () => {
      assert.deepEqual(await parse(part('name="f"') + END, type), [["f", "hi"]]);
    });
  }

  const refused: [title: string, body: string, message: RegExp, type?: string][] = [
    [
      "no boundary in its type",
      END,
      /no boundary in "multipart\/form-data"/,
      "multipart/form-data",
    ],
    [
      "another boundary",
      part("name=f") + END,
      /ends before the boundary --x/,
      `${TYPE}x`.replace("bx", "x"),
    ],
    ["nothing", "", /ends before the boundary --b/],
    ["no final boundary", part("name=f"), /ends before the boundary --b, expected it and --b--/],
    [
      "lines that end with LF only",
      (part("name=f") + END).replaceAll("\r", ""),
      /expected lines that end with CRLF/,
    ],
    [
      "a part without a disposition",
      `--b\r\nContent-Type: a/b\r\n\r\nhi\r\n${END}`,
      /a part has no name/,
    ],
    ["a part without a name", part('filename="a"') + END, /a part has no name/],
    [
      "a part that is an attachment",
      (part("name=f") + END).replace("form-data;", "attachment;"),
      /a part has no name/,
    ],
    [
      "a line that is no field",
      (part("name=f") + END).replace("Content-", "Content "),
      /found "Content Disposition/,
    ],
    [
      "a head without an end",
      `--b\r\nA: ${"x".repeat(70_000)}\r\n\r\n`,
      /fields of a part do not end/,
    ],
  ];
  for (const [title, body, message, type] of refused) {
    it(`refuses ${title}`, () => {
      assert.throws(
        () => parseMultipart(Buffer.from(body), type ?? TYPE),
        (error: unknown) =>
          error instanceof TypeError &&
          error.message === "Failed to parse body as FormData." &&
          error.cause instanceof Error &&
          message.test(error.cause.message),
      );
    });
  }

  it("reads a value with many blanks as quickly as one of the same length without any", async () => {
    const plain = await cpuMicrosOf("x");
    const blanks = await cpuMicrosOf(" ");
    // A pattern that goes back for each blank would take 10,000 times as much.
    assert.ok(blanks < 200 * Math.max(plain, 1_000), `${blanks} us, ${plain} us without blanks`);
  });

  it("gives what Node gives, of all that Node makes", async () => {
    const text = fc.string({ unit: "binary", maxLength: 30 });
    const value = fc.oneof(
      text,
      fc
        .uint8Array({ maxLength: 50 })
        .chain((bytes) => text.map((name) => new File([bytes], name))),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, value), { maxLength: 5 }), async (pairs) => {
        const form = new FormData();
        for (const [name, each] of pairs) form.append(name, each);
        const sent = new Response(form);
        const type = sent.headers.get("content-type") ?? "";
        const bytes = new Uint8Array(await sent.arrayBuffer());
        const native = await new Response(bytes, { headers: { "content-type": type } }).formData();
        assert.deepEqual(await entriesOf(parseMultipart(bytes, type)), await entriesOf(native));
      }),
      { numRuns: 200 },
    );
  });
});

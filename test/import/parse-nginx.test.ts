import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type Directive,
  NginxSyntaxError,
  parseNginx,
} from "../../runtime/cli/import/parse-nginx.ts";

/** A directive without its place: name, arguments, inner directives. */
type Tree = [name: string, args: readonly string[], block: readonly Tree[] | null];

function toTree({ name, args, block }: Directive): Tree {
  return [name, args, block === null ? null : block.map(toTree)];
}

function parse(text: string): Tree[] {
  return parseNginx(text, "a.conf").map(toTree);
}

describe("parseNginx()", () => {
  const cases: readonly [text: string, trees: Tree[]][] = [
    ["", []],
    ["# only a comment", []],
    ["a;", [["a", [], null]]],
    ["a b  c\n\td;", [["a", ["b", "c", "d"], null]]],
    [
      "a b; # c {\n d;",
      [
        ["a", ["b"], null],
        ["d", [], null],
      ],
    ],
    ["a b#c;", [["a", ["b#c"], null]]],
    [`a "b c" 'd "e"' "";`, [["a", ["b c", 'd "e"', ""], null]]],
    [String.raw`a "b\"c" 'd\'e' f\ g;`, [["a", ['b"c', "d'e", String.raw`f\ g`], null]]],
    [String.raw`a "\t\n\r\\" \.php$;`, [["a", ["\t\n\r\\", String.raw`\.php$`], null]]],
    ["a ${b}c/${d};", [["a", ["${b}c/${d}"], null]]],
    ["a{b;}", [["a", [], [["b", [], null]]]]],
    [
      "a b { c { d; } } e;",
      [
        ["a", ["b"], [["c", [], [["d", [], null]]]]],
        ["e", [], null],
      ],
    ],
    [
      'map $a $b { "" c; ~*^x{2} ; }'.replace("{2}", "y"),
      [
        [
          "map",
          ["$a", "$b"],
          [
            ["", ["c"], null],
            ["~*^xy", [], null],
          ],
        ],
      ],
    ],
    [
      'a_by_lua_block { if x then y = "}" -- }\n end } b;',
      [
        ["a_by_lua_block", [], []],
        ["b", [], null],
      ],
    ],
    ["\uFEFFa;", [["a", [], null]]],
    ['a "b\nc";', [["a", ["b\nc"], null]]],
    [
      "a;\r\nb;\r\n",
      [
        ["a", [], null],
        ["b", [], null],
      ],
    ],
  ];
  for (const [text, trees] of cases) {
    it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(parse(text), trees));
  }

  const mistakes: readonly [text: string, message: RegExp][] = [
    ["a;\nb", /"b" without ; at a\.conf:2/],
    ["a { b; ", /no \} before the end of the file at a\.conf:1/],
    ["a;\n\n}", /\} without \{ at a\.conf:3/],
    ["a }", /"a" without ; at a\.conf:1/],
    [";", /; without a directive at a\.conf:1/],
    ["\n{ }", /\{ without a directive at a\.conf:2/],
    ['a;\nb "c;\n', /" without its end at a\.conf:2/],
    ['a "b"c;', /"c" right after a quoted text at a\.conf:1/],
    ["x_by_lua_block { {", /\{ without \} at a\.conf:1/],
    ["a {".repeat(100_000), /more than 100 blocks within each other at a\.conf:1/],
  ];
  for (const [text, message] of mistakes) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(
        () => parseNginx(text, "a.conf"),
        (error) => {
          assert(error instanceof NginxSyntaxError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it("keeps each directive as it is written, with its line", () => {
    const [first, second] = parseNginx('a;\nlisten  443\n  ssl "x";', "dir/b.conf");
    assert.deepEqual([first?.text, first?.place], ["a", "dir/b.conf:1"]);
    assert.deepEqual([second?.text, second?.place], ['listen 443 ssl "x"', "dir/b.conf:2"]);
    const [block] = parseNginx("location = / { a; }", "b.conf");
    assert.equal(block?.text, "location = /");
  });

  it("reads back every tree that is printed", () => {
    const name = fc.stringMatching(/^[a-z_]{1,8}$/).filter((word) => !word.endsWith("lua_block"));
    const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
      tree: fc.tuple(
        name,
        fc.array(fc.string({ unit: "binary", maxLength: 8 }), { maxLength: 3 }),
        fc.option(fc.array(tie("tree"), { maxLength: 2 }), { maxDepth: 3 }),
      ),
    }));
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 4 }), (trees) => {
        assert.deepEqual(parse(trees.map(print).join("\n")), trees);
      }),
    );
  });

  it("takes time in proportion to the text", () => {
    // A quadratic parser would need minutes.
    const words = "abc ".repeat(200_000);
    const [only] = parseNginx(`a ${words};`, "a.conf");
    assert.equal(only?.args.length, 200_000);
  });
});

function print([name, args, block]: Tree): string {
  const words = [name, ...args.map((arg) => `"${arg.replaceAll(/["\\]/g, String.raw`\$&`)}"`)];
  return block === null
    ? `${words.join(" ")};`
    : `${words.join(" ")} {\n${block.map(print).join("\n")}\n}`;
}

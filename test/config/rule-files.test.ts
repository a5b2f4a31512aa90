import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readFolderRules } from "../../runtime/config/rule-files.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("readFolderRules()", () => {
  it("has no rules without files", async (t) => {
    const none = { headers: [], redirects: [], problems: [] };
    assert.deepEqual(await readFolderRules(temporaryFolder(t), "public"), none);
  });

  it("reads paths, fields, comments, statuses, placeholders and conditions on the query", async (t) => {
    const dir = temporaryFolder(t);
    const headers = [
      "# All pages",
      "/*",
      "  X-A: 1",
      "  X-A: 2",
      "",
      "https://example.com/blog/:id",
      "\t! X-A",
      "\tLink: </a>; rel=preload",
    ];
    const redirects = [
      "/a  /b",
      "/old/* https://b.example/:splat 302!  # moved",
      "/shop id=:id kind=book /books/:id 200",
      "# the end",
    ];
    writeFileSync(join(dir, "_headers"), headers.join("\r\n"));
    writeFileSync(join(dir, "_redirects"), redirects.join("\n"));
    const found = await readFolderRules(dir, "public");
    assert.deepEqual(found.problems, []);
    assert.deepEqual(
      found.headers.map(({ key, when: { paths, hosts, scheme }, removeFields, joinFields }) => [
        key,
        paths,
        hosts,
        scheme,
        removeFields,
        joinFields,
      ]),
      [
        ["_headers:2", ["/*"], null, null, [], { "x-a": ["1", "2"] }],
        [
          "_headers:6",
          ["/blog/:id"],
          ["example.com"],
          "https",
          ["x-a"],
          { link: ["</a>; rel=preload"] },
        ],
      ],
    );
    assert.deepEqual(
      found.redirects.map(({ key, when, to, status, isForced, fromQuery }) => [
        key,
        when.query,
        to,
        status,
        isForced,
        fromQuery,
      ]),
      [
        ["_redirects:1", [], "/b", 301, false, {}],
        ["_redirects:2", [], "https://b.example/:splat", 302, true, {}],
        [
          "_redirects:3",
          [
            { name: "id", value: true },
            { name: "kind", value: "book" },
          ],
          "/books/:id",
          200,
          false,
          { id: "id" },
        ],
      ],
    );
  });

  it("names file and line of a mistake", async (t) => {
    const dir = temporaryFolder(t);
    const headers = [
      "X-A: 1",
      "/a",
      "  X A: 1",
      "  X-B",
      "  Basic-Auth: a:b",
      "/*/x/*",
      "  X-C: 1",
    ];
    const redirects = [
      "/a",
      "/a /b 299",
      "/a /:x",
      "/a https://b.example/ 200",
      "/a /b 301 Country=de",
    ];
    writeFileSync(join(dir, "_headers"), `${headers.join("\n")}\nhttps://*.a.example/\n`);
    writeFileSync(join(dir, "_redirects"), redirects.join("\n"));
    const { problems } = await readFolderRules(dir, "public");
    assert.deepEqual(
      problems.map((problem) =>
        /^Cannot use (\S+): found (".*?"), expected (.{10,20})/.exec(problem)?.slice(1),
      ),
      [
        ["public/_headers:1", '"X-A: 1"', 'a path such as "/*" '],
        ["public/_headers:3", '"X A: 1"', "a name of a header f"],
        ["public/_headers:4", '"X-B"', 'a field such as "X-R'],
        ["public/_headers:5", '"basic-auth"', "basicAuth of a rule "],
        ["public/_headers:6", '"/*/x/*"', 'a path such as "/abo'],
        ["public/_headers:8", '"https://*.a.example/"', "a host name without "],
        ["public/_redirects:1", '"/a"', 'a line such as "/old'],
        ["public/_redirects:2", '"299"', "one of 200, 301, 302"],
        ["public/_redirects:3", '"/:x"', "none as parameters, "],
        ["public/_redirects:4", '"https://b.example/"', "a path of this site:"],
        ["public/_redirects:5", '"Country=de"', "no conditions on cou"],
      ],
    );
  });
});

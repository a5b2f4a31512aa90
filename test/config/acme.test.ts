import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DEFAULT_DIRECTORY,
  findAcmeProblems,
  readAcme,
  toNameGroups,
} from "../../runtime/config/acme.ts";
import { readSites } from "../../runtime/config/read-sites.ts";

function read(value: unknown): { acme: ReturnType<typeof readAcme>; problems: string[] } {
  const problems: string[] = [];
  const acme = readAcme(value, (key, _, expected) => void problems.push(`${key}: ${expected}`));
  return { acme, problems };
}

const { sites } = readSites(
  { "a.example": { aliases: ["www.a.example", "[::1]", "localhost"] }, "b.example": {} },
  "/nowhere",
);
const PORTS = { httpPort: 80, httpsPort: 443 };

describe("readAcme()", () => {
  it("reads the setting, with Let's Encrypt as the authority", () => {
    assert.deepEqual(
      read({ email: "me@a.example", names: ["A.example.", "a.example", "b.example"] }),
      {
        acme: {
          email: "me@a.example",
          directory: DEFAULT_DIRECTORY,
          names: ["a.example", "b.example"],
        },
        problems: [],
      },
    );
    for (const off of [undefined, "off", false]) assert.equal(read(off).acme, null);
  });

  it("refuses values with the path of their key", () => {
    const cases: [value: unknown, key: string][] = [
      ["on", "acme"],
      [{ mail: "me@a.example" }, "acme.mail"],
      [{ email: "me" }, "acme.email"],
      [{ directory: "http://ca.test/" }, "acme.directory"],
      [{ directory: 1 }, "acme.directory"],
      [{ names: [] }, "acme.names"],
      [{ names: "a.example" }, "acme.names"],
      [{ names: ["*.a.example"] }, "acme.names[0]"],
      [{ names: ["a.example", "192.0.2.1"] }, "acme.names[1]"],
      [{ names: ["localhost"] }, "acme.names[0]"],
      [{ names: ["a b"] }, "acme.names[0]"],
    ];
    for (const [value, key] of cases) {
      assert.ok(read(value).problems[0]?.startsWith(`${key}: `), JSON.stringify(value));
    }
  });
});

describe("toNameGroups()", () => {
  it("has one certificate for the named hosts, or one for each site", () => {
    const acme = { email: null, directory: DEFAULT_DIRECTORY };
    assert.deepEqual(toNameGroups({ ...acme, names: ["x.example"] }, sites), [["x.example"]]);
    assert.deepEqual(toNameGroups({ ...acme, names: null }, sites), [
      ["a.example", "www.a.example"],
      ["b.example"],
    ]);
  });
});

describe("findAcmeProblems()", () => {
  it("wants both ports, names, and no wildcard that it would have to order", () => {
    const { acme } = read({});
    const wild = readSites({ "*.a.example": {} }, "/nowhere").sites;
    const find = (change: object) => findAcmeProblems(acme, { sites, ...PORTS, ...change }).join();
    assert.equal(find({}), "");
    assert.equal(findAcmeProblems(null, { sites: [], httpPort: null, httpsPort: null }).length, 0);
    assert.match(find({ httpPort: null }), /http is off/);
    assert.match(find({ httpsPort: null }), /https is off/);
    assert.match(find({ sites: [] }), /no host names/);
    assert.match(find({ sites: wild }), /site \*\.a\.example.*DNS challenge/);
    const named = read({ names: ["a.example"] }).acme;
    assert.deepEqual(findAcmeProblems(named, { sites: wild, ...PORTS }), []);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type AccessFields, decideAccess } from "../../runtime/admin/decide-access.ts";
import { digestOf } from "../../runtime/config/admin-token.ts";

const TOKEN = "correct-horse-battery";
const TCP = { kind: "tcp", host: "127.0.0.1", port: 9090 } as const;
const UNIX = { kind: "unix", path: "/run/admin.sock" } as const;
const NO_FIELDS: AccessFields = {
  host: "127.0.0.1:9090",
  authorization: undefined,
  origin: undefined,
  "sec-fetch-site": undefined,
  via: undefined,
};

function statusOf(
  fields: Partial<AccessFields>,
  {
    address = TCP,
    token,
    access = "operator",
  }: Partial<{
    address: typeof TCP | typeof UNIX;
    token: string;
    access: "operator" | "probe" | "action";
  }> = {},
): number | null {
  const rules = { address, tokenDigest: token === undefined ? null : digestOf(token) };
  return decideAccess({ access }, { ...NO_FIELDS, ...fields }, rules)?.status ?? null;
}

function basic(text: string): Partial<AccessFields> {
  return { authorization: `Basic ${Buffer.from(text).toString("base64")}` };
}

describe("decideAccess()", () => {
  it("wants the host to be an address or the name in the config, where there is no token", () => {
    for (const host of [
      "127.0.0.1:9090",
      "127.0.0.1",
      "[::1]:9090",
      "10.0.0.7:80",
      "LocalHost:1",
    ]) {
      assert.equal(statusOf({ host }), null, host);
    }
    for (const host of ["evil.example:9090", "127.0.0.1.evil.example", "", "[evil]:1", undefined]) {
      assert.equal(statusOf({ host }), 421, host);
      assert.equal(statusOf({ host }, { access: "probe" }), 421, host);
      assert.equal(statusOf({ host }, { address: UNIX }), null, host);
      assert.equal(
        statusOf({ host, authorization: `Bearer ${TOKEN}` }, { token: TOKEN }),
        null,
        host,
      );
    }
  });

  it("lets a TCP listener act with a token only", () => {
    const bearer = { authorization: `Bearer ${TOKEN}` };
    assert.equal(statusOf({}, { access: "action" }), 403);
    assert.equal(statusOf({}, { access: "action", address: UNIX }), null);
    assert.equal(statusOf({}, { access: "action", token: TOKEN }), 401);
    assert.equal(statusOf(bearer, { access: "action", token: TOKEN }), null);
    const foreign = { ...bearer, origin: "https://evil.example" };
    assert.equal(statusOf(foreign, { access: "action", token: TOKEN }), 403);
    const sent = { ...bearer, "sec-fetch-site": "cross-site" };
    assert.equal(statusOf(sent, { access: "action", token: TOKEN }), 403);
  });

  it("refuses requests through a proxy, where there is no token", () => {
    const via = "1.1 edgicorn";
    for (const access of ["operator", "probe"] as const) {
      for (const address of [TCP, UNIX]) assert.equal(statusOf({ via }, { access, address }), 403);
      const authorization = `Bearer ${TOKEN}`;
      assert.equal(statusOf({ via, authorization }, { access, token: TOKEN }), null);
    }
  });

  it("wants the token, in one of two forms, but not of probes and on a socket", () => {
    const good = [
      { authorization: `Bearer ${TOKEN}` },
      { authorization: `bearer  ${TOKEN}` },
      basic(`:${TOKEN}`),
      basic(`anyone:${TOKEN}`),
    ];
    for (const fields of good) assert.equal(statusOf(fields, { token: TOKEN }), null);
    const bad: Partial<AccessFields>[] = [
      {},
      { authorization: TOKEN },
      { authorization: "Bearer " },
      { authorization: `Bearer ${TOKEN}x` },
      { authorization: `Bearer ${TOKEN} ${TOKEN}` },
      { authorization: `Digest ${TOKEN}` },
      basic(`${TOKEN}:`),
      basic(`a:b:${TOKEN}`),
    ];
    for (const fields of bad) {
      assert.equal(statusOf(fields, { token: TOKEN }), 401, fields.authorization);
      assert.equal(statusOf(fields, { token: TOKEN, access: "probe" }), null);
      assert.equal(statusOf(fields, { token: TOKEN, address: UNIX }), null);
    }
  });

  it("refuses requests of pages of other sites, also with the token", () => {
    const authorization = `Bearer ${TOKEN}`;
    const cases: [Partial<AccessFields>, number | null][] = [
      [{ "sec-fetch-site": "cross-site" }, 403],
      [{ "sec-fetch-site": "same-site" }, 403],
      [{ "sec-fetch-site": "same-origin" }, null],
      [{ "sec-fetch-site": "none" }, null],
      [{ origin: "http://evil.example" }, 403],
      [{ origin: "null" }, 403],
      [{ origin: "http://127.0.0.1:9090" }, null],
      [{ origin: "http://127.0.0.1:9091" }, 403],
    ];
    for (const [fields, expected] of cases) {
      assert.equal(statusOf(fields), expected, JSON.stringify(fields));
      assert.equal(statusOf({ ...fields, authorization }, { token: TOKEN }), expected);
    }
  });
});

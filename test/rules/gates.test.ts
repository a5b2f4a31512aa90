import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createSite } from "./ask-rules.ts";

/** The password is "secret". No request of these tests has one. */
const basicAuth = { users: { ann: "$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/" } };

describe("gates of rules", () => {
  it("ask for a password before anything but CORS answers", () => {
    const ask = createSite([
      { path: "/**", basicAuth, cors: { origins: "https://a.example" } },
      { path: "/fixed", respond: { body: "secret" } },
      { path: "/old", redirect: "/new" },
    ]);
    for (const target of ["/", "/fixed", "/old"]) {
      const reply = ask({ target, fields: { host: "a", origin: "https://a.example" } });
      assert.deepEqual([reply.status, reply.served], [401, null], target);
      assert.equal(reply.field("access-control-allow-origin"), "https://a.example");
    }
    const preflight = {
      host: "a",
      origin: "https://a.example",
      "access-control-request-method": "GET",
    };
    assert.equal(ask({ method: "OPTIONS", fields: preflight }).status, 204);
  });

  it("turn authentication off by an earlier rule only", () => {
    const off = { path: "/a/open", basicAuth: "off", forwardAuth: "off" } as const;
    const on = { path: "/a/**", basicAuth };
    assert.equal(createSite([off, on])("/a/open").status, 200);
    assert.equal(createSite([off, on])("/a/%6Fpen").status, 200);
    assert.equal(createSite([off, on])("/a/open/b").status, 401);
    assert.equal(createSite([on, off])("/a/open").status, 401);
  });

  it("hold for the path of a rewrite, too", () => {
    const ask = createSite([
      { path: "/open/:name", rewrite: "/admin/:name" },
      { path: "/admin/**", basicAuth },
    ]);
    assert.equal(ask("/open/x").status, 401);
    assert.equal(ask("/other").status, 200);
  });

  it("are passed by no other spelling of a path", () => {
    const ask = createSite([{ path: "/admin/**", basicAuth }]);
    const spellings = ["/admin", "/admin/", "/admin/x", "/%61dmin/x", "/x/../admin/x", "/./admin"];
    for (const target of [
      ...spellings,
      "/x/%2e%2E/admin",
      "//admin",
      "/admin%2Fx",
      "/x%2f..%2fadmin",
    ]) {
      const { status, served } = ask(target);
      assert.ok((status === 401 || status === 400) && served === null, `${target} ${status}`);
    }
  });

  it("count requests before they ask for a password", () => {
    const ask = createSite([
      { basicAuth, rateLimit: { rate: "1/day", burst: 3 } },
      { path: "/more", rateLimit: { rate: "1/day", key: "site" } },
    ]);
    assert.deepEqual(
      ["/a", "/more", "/more", "/a", "/b"].map((target) => ask(target).status),
      [401, 401, 429, 429, 429],
    );
    assert.equal(ask({ clientAddress: "192.0.2.9", target: "/a" }).status, 401);
  });
});

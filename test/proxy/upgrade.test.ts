import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toAccept } from "../../runtime/http/web-socket-handshake.ts";
import { checkUpgrade, toUpgradeRequest } from "../../runtime/proxy/upgrade.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT = `sec-websocket-accept\n${toAccept(KEY)}`;
const ASKED = { key: KEY, fields: "sec-websocket-protocol\nchat, other" };

describe("toUpgradeRequest()", () => {
  it("replaces key and version, offers no extension, and keeps the rest", () => {
    const fields =
      "host\na\nsec-websocket-key\nown\nsec-websocket-extensions\npermessage-deflate\n" +
      "sec-websocket-version\n8\nsec-websocket-protocol\nchat\ncookie\nb";
    assert.equal(
      toUpgradeRequest(fields, KEY),
      "host\na\nsec-websocket-protocol\nchat\ncookie\nb\n" +
        `sec-websocket-version\n13\nsec-websocket-key\n${KEY}`,
    );
  });
});

describe("checkUpgrade()", () => {
  it("returns the fields other than those of the handshake", () => {
    const fields = `upgrade\nWebSocket\n${ACCEPT}\nset-cookie\na=1\nx\ny`;
    assert.deepEqual(checkUpgrade(fields, ASKED), {
      ok: true,
      protocol: null,
      fields: "set-cookie\na=1\nx\ny",
    });
  });

  it("takes a subprotocol that was offered", () => {
    const fields = `upgrade\nwebsocket\n${ACCEPT}\nsec-websocket-protocol\nother`;
    assert.deepEqual(checkUpgrade(fields, ASKED), { ok: true, protocol: "other", fields: "" });
  });

  for (const [name, fields] of [
    ["no protocol", ACCEPT],
    ["another protocol", `upgrade\nh2c\n${ACCEPT}`],
    ["two protocols", `upgrade\nh2c, websocket\n${ACCEPT}`],
    ["no accept", "upgrade\nwebsocket"],
    ["a wrong accept", "upgrade\nwebsocket\nsec-websocket-accept\nx"],
    ["two accepts", `upgrade\nwebsocket\n${ACCEPT}\n${ACCEPT}`],
    ["an extension", `upgrade\nwebsocket\n${ACCEPT}\nsec-websocket-extensions\npermessage-deflate`],
    ["a subprotocol of its own", `upgrade\nwebsocket\n${ACCEPT}\nsec-websocket-protocol\nmine`],
    ["two subprotocols", `upgrade\nwebsocket\n${ACCEPT}\nsec-websocket-protocol\nchat, other`],
  ] as const) {
    it(`refuses ${name}`, () => {
      const answer = checkUpgrade(fields, ASKED);
      assert.equal(answer.ok, false);
      assert.match(answer.reason, /^the 101 /);
    });
  }
});

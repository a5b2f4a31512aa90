import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createKey,
  offeredProtocols,
  readHandshake,
  toAccept,
} from "../../runtime/http/web-socket-handshake.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const VALID = `host\na\nupgrade\nwebsocket\nsec-websocket-version\n13\nsec-websocket-key\n${KEY}`;

describe("readHandshake()", () => {
  it("reads the key", () => {
    assert.deepEqual(readHandshake(VALID), { key: KEY, isCurrent: true });
  });

  it("compares the protocol without case, and in a list", () => {
    const block = VALID.replace("websocket", "h2c, WebSocket");
    assert.deepEqual(readHandshake(block), { key: KEY, isCurrent: true });
  });

  it("notes another version", () => {
    for (const version of ["8", "", "13, 8", "013"]) {
      const block = VALID.replace("\n13\n", `\n${version}\n`);
      assert.deepEqual(readHandshake(block), { key: KEY, isCurrent: false }, version);
    }
  });

  it("finds none without the protocol or a key of 16 bytes", () => {
    for (const block of [
      "",
      VALID.replace("upgrade\nwebsocket\n", ""),
      VALID.replace("websocket", "h2c"),
      VALID.replace(`\nsec-websocket-key\n${KEY}`, ""),
      VALID.replace(KEY, "dGhlIHNhbXBsZSBub25jZQ="),
      VALID.replace(KEY, "dGhlIHNhbXBsZSBub25jZ==="),
      VALID.replace(KEY, "!GhlIHNhbXBsZSBub25jZQ=="),
      `${VALID}\nsec-websocket-key\n${KEY}`,
    ]) {
      assert.equal(readHandshake(block), null, block);
    }
  });
});

describe("toAccept()", () => {
  it("gives the answer of RFC 6455 section 1.3", () => {
    assert.equal(toAccept(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  });
});

describe("createKey()", () => {
  it("makes keys that are valid, and different each time", () => {
    const [first, second] = [createKey(), createKey()];
    assert.notEqual(first, second);
    assert.deepEqual(readHandshake(VALID.replace(KEY, first)), { key: first, isCurrent: true });
  });
});

describe("offeredProtocols()", () => {
  it("joins all lines", () => {
    const block = "sec-websocket-protocol\na, b\nx\ny\nsec-websocket-protocol\nc,";
    assert.deepEqual(offeredProtocols(block), ["a", "b", "c"]);
    assert.deepEqual(offeredProtocols("x\ny"), []);
  });
});

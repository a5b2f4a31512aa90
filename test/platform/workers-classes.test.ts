import assert from "node:assert/strict";
import { createHash, webcrypto } from "node:crypto";
import { describe, it } from "node:test";
import {
  createFixedLengthStream,
  createIdentityTransformStream,
  lengthOf,
} from "../../runtime/platform/stream-classes.ts";
import { toTlsNumber } from "../../runtime/lib/tls-facts.ts";
import { defineRequestCf } from "../../runtime/platform/request-cf.ts";
import { extendCrypto } from "../../runtime/platform/workers-crypto.ts";
import { createRequest } from "../../runtime/web/fast-request.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
import { NativeRequest } from "../../runtime/web/native.ts";
import { readResponseParts } from "../../runtime/worker/from-response.ts";

const FixedLengthStream = createFixedLengthStream();
const IdentityTransformStream = createIdentityTransformStream();

/** Writes chunks to a stream, and returns the text that it passes on. */
async function pass(stream: TransformStream, chunks: readonly unknown[]): Promise<string> {
  const source = new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  return new Response(source.pipeThrough(stream)).text();
}

describe("FixedLengthStream", () => {
  const bytes = [
    Buffer.from("ab"),
    new Uint8Array(),
    new Uint8Array([99]).buffer,
    new DataView(Buffer.from("d").buffer, 0, 0),
  ];

  it("passes as many bytes on as it was told", async () => {
    assert.equal(await pass(new FixedLengthStream(3), bytes), "abc");
    assert.equal(await pass(new FixedLengthStream(3n), bytes), "abc");
    assert.equal(await pass(new FixedLengthStream(0), []), "");
  });

  it("fails for more, for fewer, and for text", async () => {
    await assert.rejects(pass(new FixedLengthStream(2), bytes), /more than 2 bytes/);
    await assert.rejects(pass(new FixedLengthStream(4), bytes), /only 3 of 4 bytes/);
    await assert.rejects(pass(new FixedLengthStream(1), ["a"]), /found string, expected bytes/);
  });

  it("refuses lengths that are none", () => {
    for (const length of [-1, 0.5, Number.NaN, 2 ** 60, "3", undefined, -1n]) {
      assert.throws(() => Reflect.construct(FixedLengthStream, [length]), /found the length/);
    }
  });

  it("gives its response a length, unless the handler has set one", () => {
    const { readable } = new FixedLengthStream(7);
    assert.equal(lengthOf(readable), 7);
    assert.match(readResponseParts(new Response(readable), "GET").fields, /content-length\n7$/);
    const own = new Response(new FixedLengthStream(7).readable, {
      headers: { "content-length": "7" },
    });
    assert.deepEqual(readResponseParts(own, "GET").fields.match(/content-length/g)?.length, 1);
    const head = readResponseParts(new Response(new FixedLengthStream(7).readable), "HEAD");
    assert.equal(head.body, null);
    assert.match(head.fields, /content-length\n7$/);
    assert.equal(lengthOf(new ReadableStream()), null);
  });
});

describe("IdentityTransformStream", () => {
  it("passes bytes on, and no text", async () => {
    assert.equal(await pass(new IdentityTransformStream(), [Buffer.from("ab")]), "ab");
    await assert.rejects(
      pass(new IdentityTransformStream(), ["a"]),
      /found string, expected bytes/,
    );
  });
});

describe("extendCrypto()", () => {
  extendCrypto(webcrypto);
  const extended = webcrypto as unknown as {
    timingSafeEqual(a: unknown, b: unknown): boolean;
    subtle: { timingSafeEqual(a: unknown, b: unknown): boolean };
    DigestStream: new (algorithm: unknown) => WritableStream & {
      digest: Promise<ArrayBuffer>;
      bytesWritten: bigint;
    };
  };

  it("compares bytes of any view", () => {
    for (const owner of [extended, extended.subtle]) {
      const timingSafeEqual = (a: unknown, b: unknown): boolean => owner.timingSafeEqual(a, b);
      assert.equal(timingSafeEqual(Buffer.from("ab"), new Uint8Array([97, 98]).buffer), true);
      assert.equal(timingSafeEqual(Buffer.from("ab"), Buffer.from("ac")), false);
      assert.throws(() => timingSafeEqual(Buffer.from("a"), Buffer.from("ab")), /1 and 2 bytes/);
      assert.throws(() => timingSafeEqual("a", "a"), /found string/);
    }
  });

  it("computes the digest of a stream", async () => {
    for (const [algorithm, node] of [
      ["MD5", "md5"],
      ["sha-256", "sha256"],
      [{ name: "SHA-512" }, "sha512"],
    ] as const) {
      const stream = new extended.DigestStream(algorithm);
      const writer = stream.getWriter();
      await writer.write(Buffer.from("ab"));
      await writer.write("c");
      await writer.close();
      const digest = Buffer.from(await stream.digest).toString("hex");
      assert.equal(digest, createHash(node).update("abc").digest("hex"));
      assert.equal(stream.bytesWritten, 3n);
    }
    assert.throws(() => new extended.DigestStream("sha-3"), /found the algorithm sha-3/);
  });

  it("rejects the digest of a stream that fails", async () => {
    const aborted = new extended.DigestStream("MD5");
    await aborted.abort(new Error("left"));
    await assert.rejects(aborted.digest, /left/);
    const wrong = new extended.DigestStream("MD5");
    const writer = wrong.getWriter();
    await assert.rejects(writer.write(5), /found number/);
    await assert.rejects(wrong.digest, /found number/);
    writer.closed.catch(() => {});
  });
});

/** Returns the facts about a client that speaks TLS. */
function overTls(tls: number): unknown {
  const parts = { method: "GET", url: "https://a/", fields: "", body: null, tls };
  return Reflect.get(createRequest(parts).clone(), "cf");
}

describe("defineRequestCf()", () => {
  it("gives requests of clients an object with the protocol", (t) => {
    installWebObjects();
    defineRequestCf();
    // Other files of this process compare the class with Node's own.
    t.after(() => Reflect.deleteProperty(NativeRequest.prototype, "cf"));
    const request = createRequest({ method: "GET", url: "http://a/", fields: "", body: null });
    assert.deepEqual(Reflect.get(request, "cf"), { httpProtocol: "HTTP/1.1" });
    const protocols = ["HTTP/1.0", "HTTP/2.0"] as const;
    const found = protocols.map((protocol): unknown[] => {
      const body = null;
      const other = createRequest({ method: "GET", url: "http://a/", fields: "", body, protocol });
      return [other, other.clone()].map((each): unknown => Reflect.get(each, "cf"));
    });
    const facts = [{ httpProtocol: "HTTP/1.0" }, { httpProtocol: "HTTP/2" }];
    assert.deepEqual(
      found,
      facts.map((each) => [each, each]),
    );
    assert.equal(Reflect.get(new Request(request), "cf"), undefined);
    const number = toTlsNumber("TLSv1.3", "TLS_AES_128_GCM_SHA256");
    const tlsCipher = "AEAD-AES128-GCM-SHA256";
    const own = { httpProtocol: "HTTP/1.1", tlsVersion: "TLSv1.3", tlsCipher };
    assert.deepEqual(overTls(number), own);
    assert.equal(overTls(number), overTls(number), "the same object each time");
    const unknown = { httpProtocol: "HTTP/1.1", tlsVersion: "TLSv1.2" };
    assert.deepEqual(overTls(toTlsNumber("TLSv1.2", "PSK-AES128-CCM")), unknown);
  });
});

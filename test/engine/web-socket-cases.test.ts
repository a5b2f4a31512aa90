import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { constants, inflateRawSync } from "node:zlib";
import type { Config } from "../../runtime/config/config.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { createNodeEngine } from "../../runtime/engine/node/node-engine.ts";
import { loadUwsEngine } from "../../runtime/engine/uws/uws-engine.ts";
import type { Client } from "../../runtime/http/client.ts";
import { offeredProtocols } from "../../runtime/http/web-socket-handshake.ts";
import type { WebSocketSide } from "../../runtime/http/web-socket.ts";
import { testedLibrary } from "../helpers/library.ts";
import { FrameClient } from "../helpers/web-socket-frames/frame-client.ts";
import { closePayload, frame, OPCODES } from "../helpers/web-socket-frames/frames.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import type { Owner } from "../helpers/temporary-folder.ts";
import { openListenerOf } from "./node/open-listener.ts";
import {
  DEFLATE_HANDSHAKES,
  DEFLATE_LIMIT_BYTES,
  DEFLATE_ROWS,
} from "./web-socket-cases/deflate.ts";
import { ENDS } from "./web-socket-cases/ends.ts";
import { FRAMING } from "./web-socket-cases/framing.ts";
import { HANDSHAKES } from "./web-socket-cases/handshakes.ts";
import type { FrameRow, Outcome } from "./web-socket-cases/row.ts";
import { TEXTS } from "./web-socket-cases/texts.ts";

const ROWS = [...FRAMING, ...TEXTS, ...ENDS];
const OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits";
const KINDS: ReadonlyMap<number, string> = new Map(
  Object.entries(OPCODES).map(([name, opcode]) => [opcode, name]),
);

const ENGINES: readonly (readonly ["uws" | "node", () => Promise<Engine>])[] = [
  [
    "uws",
    () =>
      loadUwsEngine({ headerLimitBytes: 16 * 1024, uws: testedLibrary() } as Config, (message) =>
        assert.fail(message),
      ),
  ],
  ["node", () => Promise.resolve(createNodeEngine())],
];

for (const [name, load] of ENGINES) {
  describe(`cases of RFC 6455 and RFC 7692 on the engine ${name}`, { timeout: 300_000 }, () => {
    const owner = new SuiteOwner();
    let echo: Echo;
    let deflating: Echo;
    before(async () => {
      echo = await openEcho(owner, load);
      deflating = await openEcho(owner, load, { compresses: true });
      for (const { port } of [echo, deflating]) {
        // The library needs a moment for its first WebSocket (`cork-anchor.ts`).
        const first = await FrameClient.open(owner, port);
        first.end();
      }
    });
    after(() => owner.end());

    for (const row of [...HANDSHAKES, ...DEFLATE_HANDSHAKES]) {
      it(`${row.section}: ${row.name}`, async (t) => {
        const { port } = DEFLATE_HANDSHAKES.includes(row) ? deflating : echo;
        const { status, fields } = await FrameClient.connect(t, port, row.head).head();
        const expected = name === "uws" ? { ...row, ...row.uws } : row;
        assert.equal(status, expected.status);
        for (const [field, value] of Object.entries(expected.fields ?? {})) {
          assert.equal(fields.get(field) ?? null, value, field);
        }
      });
    }

    for (const row of [...ROWS, ...DEFLATE_ROWS]) {
      const skip = name === "uws" && row.uws?.isOpen === true ? row.uws.why : false;
      it(`${row.section}: ${row.name}`, { skip }, async (t) => {
        const compresses = DEFLATE_ROWS.includes(row);
        const { port, latestEnd } = compresses ? deflating : echo;
        const outcome: Outcome = name === "uws" ? { ...row.outcome, ...row.uws } : row.outcome;
        const client = await FrameClient.open(t, port, compresses ? [OFFER] : []);
        const end = latestEnd();
        await send(client, row);
        assert.deepEqual(await readAll(client), outcome.frames);
        assert.equal(await end, outcome.end);
      });
    }
  });
}

it("has at least 120 cases, each with a name of its own", () => {
  const all = [...HANDSHAKES, ...DEFLATE_HANDSHAKES, ...ROWS, ...DEFLATE_ROWS];
  const names = all.map(({ section, name }) => `${section} ${name}`);
  assert.ok(names.length >= 120);
  assert.equal(new Set(names).size, names.length);
});

interface Echo {
  port: number;
  /** Waits for the end of the WebSocket that was accepted last. Those of tests before may end later. */
  latestEnd: () => Promise<number>;
}

async function openEcho(
  owner: Owner,
  load: () => Promise<Engine>,
  { compresses = false } = {},
): Promise<Echo> {
  const engine = await load();
  let latest: Promise<number> | null = null;
  const onRequest = (client: Client): void => {
    const offer = client.webSocket ?? null;
    if (offer === null || !offer.isCurrent) {
      client.reply({ status: 426, statusText: "", fields: "", body: null, lengthBytes: null });
      return;
    }
    const offered = offeredProtocols(client.head.fields);
    let tellEnd: ((code: number) => void) | null = null;
    latest = new Promise((resolve) => (tellEnd = resolve));
    const side: WebSocketSide | null = offer.accept(
      {
        protocol: offered.includes("chat") ? "chat" : null,
        fields: "",
        compresses,
        ...(compresses && { silence: { largestBytes: DEFLATE_LIMIT_BYTES } }),
      },
      {
        onMessage: (bytes, isBinary) => {
          if (compresses && bytes.length > DEFLATE_LIMIT_BYTES) side?.close(1009, "");
          else side?.send(Uint8Array.from(bytes), isBinary);
        },
        onPing() {},
        onPong() {},
        onRoom() {},
        onClose: ({ code }) => tellEnd?.(code),
      },
    );
  };
  const { port } = await openListenerOf(
    owner,
    { onRequest, compressesWebSockets: compresses },
    (options) => engine.open(options),
  );
  return { port, latestEnd: () => latest ?? assert.fail("no WebSocket was accepted") };
}

/** Sends the frames of a case, and a close frame, which a server that has failed the connection does not read. */
async function send(client: FrameClient, { send: parts, chop }: FrameRow): Promise<void> {
  const frames = parts.map((part) => (Buffer.isBuffer(part) ? part : frame(part)));
  const close = frame({ opcode: OPCODES.close, payload: closePayload(1000) });
  const bytes = Buffer.concat([...frames, close]);
  if (chop === undefined) {
    client.write(bytes);
    return;
  }
  for (let at = 0; at < bytes.length; at += chop) {
    client.write(bytes.subarray(at, at + chop));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Reads all that the server sends until it closes, with the fragments of a message joined. */
async function readAll(client: FrameClient): Promise<string[]> {
  const seen: string[] = [];
  let message: { kind: string; parts: Buffer[] } | null = null;
  for (;;) {
    const next = await client.next();
    if (next === null) return seen;
    assert.equal(next.isMasked, false);
    const { opcode, payload, fin, rsv } = next;
    // A compressed message comes in one frame, and only a message may be compressed.
    const isDeflated: boolean = rsv === 4 && fin && message === null && opcode < OPCODES.close;
    assert.ok(isDeflated || rsv === 0);
    const kind = KINDS.get(opcode) ?? `opcode ${opcode}`;
    if (opcode >= OPCODES.close) {
      seen.push(inShort(kind, payload));
      if (opcode === OPCODES.close) client.end();
      continue;
    }
    message ??= { kind: isDeflated ? `deflated ${kind}` : kind, parts: [] };
    message.parts.push(isDeflated ? inflate(payload) : payload);
    if (!fin) continue;
    seen.push(inShort(message.kind, Buffer.concat(message.parts)));
    message = null;
  }
}

function inflate(payload: Buffer): Buffer {
  const bytes = Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]);
  return inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
}

function inShort(kind: string, payload: Buffer): string {
  const content =
    kind === "close" && payload.length >= 2
      ? `${payload.readUInt16BE()} ${payload.subarray(2).toString()}`
      : payload.toString();
  return `${kind} ${content}`.trim();
}

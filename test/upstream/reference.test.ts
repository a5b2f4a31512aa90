import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Asked, GET, openRawUpstream, openServer } from "./raw-upstream.ts";
import { ODD_RESPONSES } from "./odd-responses.ts";

/** Responses that llhttp reads in another way, against RFC 9112: it takes a tab behind a value for a part of it. */
const KNOWN_DIFFERENCES = new Set(["chunks in a field with spaces around"]);

/** Status and body; `null`: the response is refused. */
type Read = { status: number; body: string } | null;

/** Reads with the client inside Node, which is undici with the parser llhttp. */
async function readWithUndici(url: string, method: string): Promise<Read> {
  try {
    const response = await fetch(url, { method, redirect: "manual" });
    const body = Buffer.from(await response.arrayBuffer()).toString("latin1");
    return { status: response.status, body };
  } catch {
    return null; // It rejects for each response that it refuses.
  }
}

describe("openUpstreamServer() and undici", { timeout: 60_000 }, () => {
  it("read the same wherever both accept a response", async (t) => {
    const odd = ODD_RESPONSES.filter(({ asksForUpgrade }) => asksForUpgrade !== true);
    const { port } = await openRawUpstream(t, async (peer) => {
      const [, index = ""] = /^\S+ \/(\d+) /.exec(await peer.until("\r\n\r\n")) ?? [];
      peer.socket.end(Buffer.from(odd[Number(index)]?.bytes ?? "", "latin1"));
    });
    const server = openServer(t, port, { limits: { idleConnections: 0 } });
    const counts = { both: 0, onlyOurs: 0, onlyUndici: 0, neither: 0 };
    for (const [index, { name, method = "GET" }] of odd.entries()) {
      const asked = new Asked(server, { ...GET, method, target: `/${index}` });
      const ours = await asked.until("end").then(
        ({ head, body }) => ({ status: head?.status, body: body.toString("latin1") }),
        () => null,
      );
      const theirs = await readWithUndici(`http://127.0.0.1:${port}/${index}`, method);
      if (ours !== null && theirs !== null) {
        if (KNOWN_DIFFERENCES.has(name)) assert.notDeepEqual(ours, theirs, name);
        else assert.deepEqual(ours, theirs, name);
        counts.both += 1;
      } else if (ours !== null) counts.onlyOurs += 1;
      else if (theirs !== null) counts.onlyUndici += 1;
      else counts.neither += 1;
    }
    t.diagnostic(JSON.stringify(counts));
    assert.ok(counts.both > 50, JSON.stringify(counts));
  });
});

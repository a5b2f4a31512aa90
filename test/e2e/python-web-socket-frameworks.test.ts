import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { PYTHON_FIXTURES, startPythonServer } from "../helpers/python-server.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";
import type { TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import type { Owner } from "../helpers/temporary-folder.ts";
import { startUvicorn } from "../helpers/uvicorn.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";

const TIMEOUT = { timeout: 300_000 };
const APP = "fastapi_sockets:app";
const FOLDER = join(PYTHON_FIXTURES, "frameworks");

/** A conversation of one client: its messages, then its answers, each of which the client waits for. */
interface Conversation {
  path: string;
  protocols?: string[];
  headers?: Record<string, string>;
  says?: (string | Buffer)[];
  /** Number of answers. */
  hears?: number;
  /** The client closes with this code; absent: it waits for the server. */
  closes?: number;
}

/** What a server did: it must be the same with Edgicorn and with Uvicorn. */
type Outcome =
  | { refused: string }
  | { protocol: string; heard: (string | Buffer)[]; code: number; reason: string };

async function talk(t: Owner, base: string, conversation: Conversation): Promise<Outcome> {
  const { path, protocols = [], headers = {}, says = [], hears = 0, closes } = conversation;
  let client: WebSocketClient;
  try {
    client = await WebSocketClient.open(t, base + path, { protocols, headers });
  } catch (error) {
    return { refused: String(error) };
  }
  for (const message of says) client.send(message);
  const heard = await client.take(hears);
  const { code, reason } = await (closes === undefined ? client.closed : client.close(closes));
  return { protocol: client.socket.protocol, heard, code, reason };
}

const bytes = Buffer.from([0, 1, 2, 255]);

const CONVERSATIONS: [conversation: Conversation, expected: Outcome][] = [
  [
    { path: "/items/7?token=t", says: ["a", "b"], hears: 2, closes: 1000 },
    { protocol: "", heard: ["7 t: a", "7 t: b"], code: 1000, reason: "" },
  ],
  [
    {
      path: "/items/7",
      headers: { cookie: "session=s" },
      says: ["a"],
      hears: 1,
      closes: 4000,
    },
    { protocol: "", heard: ["7 s: a"], code: 4000, reason: "" },
  ],
  [{ path: "/items/7" }, { refused: "Error: Unexpected server response: 403" }],
  [{ path: "/items/x?token=t" }, { refused: "Error: Unexpected server response: 403" }],
  [{ path: "/nowhere" }, { refused: "Error: Unexpected server response: 403" }],
  [
    {
      path: "/json",
      protocols: ["json.v0", "json.v1"],
      headers: { "x-agent": "test" },
      says: [`{"a": [1, "é"]}`],
      hears: 2,
    },
    {
      protocol: "json.v1",
      heard: [`{"got": {"a": [1, "\\u00e9"]}, "agent": "test"}`, Buffer.from(`{"mode": "binary"}`)],
      code: 4002,
      reason: "done",
    },
  ],
  [
    {
      path: "/bytes",
      says: [bytes, Buffer.alloc(0), Buffer.alloc(70_000, 1)],
      hears: 3,
      closes: 1000,
    },
    {
      protocol: "",
      heard: [Buffer.from([255, 2, 1, 0]), Buffer.alloc(0), Buffer.alloc(70_000, 1)],
      code: 1000,
      reason: "",
    },
  ],
  [
    { path: "/bare/echo", says: ["ünï", bytes, "close 4001 as told"], hears: 2 },
    { protocol: "", heard: ["ünï", bytes], code: 4001, reason: "as told" },
  ],
  [{ path: "/bare/forbid" }, { refused: "Error: Unexpected server response: 403" }],
  [{ path: "/bare/fail" }, { refused: "Error: Unexpected server response: 500" }],
  [{ path: "/bare/nothing" }, { refused: "Error: Unexpected server response: 500" }],
];

describe("WebSockets of FastAPI", { ...TIMEOUT, skip: skipWithoutPython(["fastapi"]) }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;
  /** `null`: this machine has no Uvicorn. */
  let uvicorn: string | null = null;

  before(async () => {
    if (findPython(["fastapi", "uvicorn", "websockets"]) !== null) {
      uvicorn = await startUvicorn(owner, APP, FOLDER);
    }
    const packages = ["fastapi"];
    server = await startPythonServer(owner, {
      app: APP,
      packages,
      flags: ["--app-dir", FOLDER, "--drain-grace", "5s"],
    });
  });
  after(() => owner.end());

  for (const [conversation, expected] of CONVERSATIONS) {
    const { path, closes } = conversation;
    it(`${path}${closes === undefined ? "" : ` until ${closes}`}`, TIMEOUT, async (t) => {
      assert.deepEqual(await talk(t, server.http, conversation), expected);
      if (uvicorn !== null) {
        assert.deepEqual(await talk(t, uvicorn, conversation), expected, "as Uvicorn does");
      }
    });
  }

  it("have rooms, and learn who left", TIMEOUT, async (t) => {
    const open = (name: string): Promise<WebSocketClient> =>
      WebSocketClient.open(t, `${server.http}/rooms/${name}`);
    const eve = await open("eve");
    const tom = await open("tom");
    tom.send("hello");
    for (const client of [eve, tom]) assert.equal(await client.next(), "tom: hello");
    tom.socket.close(4001);
    assert.equal(await eve.next(), "tom left with 4001");
    const gone = await open("gone");
    gone.send("here");
    assert.equal(await eve.next(), "gone: here");
    gone.socket.terminate();
    assert.equal(await eve.next(), "gone left with 1006");
  });

  it("log no failure where the client ended", TIMEOUT, async (t) => {
    const socket = new WebSocket(server.http.replace(/^http/, "ws") + "/items/1?token=t");
    t.after(() => socket.terminate());
    await once(socket, "open");
    socket.close();
    await once(socket, "close");
    server.kill("SIGTERM");
    await server.exit;
    assert.doesNotMatch(server.stderr, /WebSocketDisconnect/);
  });
});

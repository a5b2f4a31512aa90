import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Act, Kind, PROTOCOL_VERSION } from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { parseToWorker } from "../../runtime/channel/parse-to-worker.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";

/** Whether it throws ERR_PROTOCOL. Passes other errors on. */
function isRefused(parse: () => unknown): boolean {
  try {
    parse();
    return false;
  } catch (error) {
    if (error instanceof RuntimeError && error.code === "ERR_PROTOCOL") return true;
    throw error;
  }
}

const BYTES = Buffer.from("x");
const LIMITS = {
  bodyLimitBytes: null,
  timeoutMs: 1_000,
  bodyBufferBytes: 0,
  overflow: "spool",
  responseOverflow: null,
  bodyTimeoutMs: null,
  minBodyRateBytesPerSecond: 0,
  sendTimeoutMs: 5,
  webSocketOrigins: ["https://a.example"],
  webSocketMessageLimitBytes: 9,
  webSocketBufferBytes: 2048,
  webSocketPingMs: null,
  webSocketIdleTimeoutMs: 0,
  reserved: true,
  replay: null,
  cache: null,
  rateLimit: { requests: 5, windowMs: 1_000 },
};
const FILE = { fd: 7, device: 1, inode: 2 ** 60, start: 0, lengthBytes: 9 };
const ROUTE = { methods: ["GET"], limits: LIMITS, methodLimits: { GET: LIMITS }, hasSockets: true };
const VITALS = { rssBytes: 2 ** 33, heapUsedBytes: 1024, loopUtilization: 0.5 };
const REPORT = { pid: 7, routes: [ROUTE], warnings: ["handlers/x.ts: no effect"], threads: null };

/** Invalid in both directions. */
const NONSENSE: readonly unknown[] = [
  null,
  undefined,
  0,
  "",
  true,
  {},
  { 0: 19 },
  [],
  [null],
  ["19"],
];

describe("parseToPrimary()", () => {
  it("accepts every message of the protocol as it is", () => {
    const messages = [
      [Kind.workerHello, PROTOCOL_VERSION],
      [Kind.ready, REPORT],
      [Kind.ready, { pid: 7, routes: [], warnings: [], threads: 4 }],
      [Kind.bootFailed, { code: "ERR_HANDLER_LOAD", message: "handlers/x.ts:1: no" }],
      [Kind.response, 1, 200, "", "", null],
      [Kind.response, 1, 599, "Odd", "a\nb", "text"],
      [Kind.response, 2 ** 53 - 1, 404, "", "", BYTES],
      [Kind.response, 1, 200, "", "", true],
      [Kind.responseFile, 1, 200, "", "a\nb", FILE],
      [Kind.responsePath, 1, 404, "", "", "/srv/404.html"],
      [Kind.responsePath, 1, 200, "", "", null],
      [Kind.responseChunk, 1, BYTES],
      [Kind.responseEnd, 1],
      [Kind.responseAbort, 1],
      [Kind.requestCredit, 1, 65_536],
      [Kind.settled, 1],
      [Kind.probed, 1],
      [Kind.returned, 1],
      [Kind.loading, "handlers/x.ts", "import"],
      [Kind.loading, "handlers/x.ts", "dispose"],
      [Kind.failed, { requestId: "a-1", message: "Error: no", handler: "x.ts", place: "x.ts:1" }],
      [Kind.failed, { requestId: "a-1", message: "Error: no", handler: "app:app", place: null }],
      [Kind.drained],
      [
        Kind.responseSocket,
        1,
        "",
        true,
        [
          [Act.send, 1, BYTES, true],
          [Act.close, 1, 4999, "why"],
          [Act.attach, 1, BYTES],
          [Act.attach, 1, null],
          [Act.subscribe, 1, "room"],
          [Act.unsubscribe, 1, "room"],
          [Act.publish, 1, "room", BYTES, false],
          [Act.confirm, 1, 7],
          [Act.flush, 1, 65_600],
          [Act.announce, -1, "room", BYTES, false],
        ],
      ],
      [Kind.responseSocket, 1, "", true, [], true],
      [Kind.socketActs, []],
      [Kind.purge, 1, 0, "tag:news"],
      [Kind.purge, 2, -1, ""],
      [Kind.cacheMatch, 1, 0, null, "https://x.example/", "accept\n*"],
      [Kind.cachePut, 1, -1, "name", "https://x.example/", "", 200, "", "a\nb", "text"],
      [Kind.cachePut, 1, 0, null, "", "", 599, "Odd", "", true],
      [Kind.cachePut, 1, 0, null, "", "", 204, "", "", null],
      [Kind.cachePut, 1, 0, null, "", "", 200, "", "", BYTES],
      [Kind.cacheDelete, 1, 0, "name", "https://x.example/"],
      [Kind.cachePiece, 1, BYTES],
      [Kind.cachePutEnd, 1, false],
      [Kind.cacheGrant, 1, 65_536],
      [Kind.cacheCancel, 1],
      [Kind.call, 1, "service", "default", 0, "GET", "http://x.example/", "", "::1", 0, false],
      [Kind.call, 2, "assets", "a.example", 16, "PUT", "https://x/a", "a\nb", "::1", 0.5, true],
      [Kind.callPiece, 1, BYTES],
      [Kind.callPieceEnd, 1, true],
      [Kind.callGrant, 1, 65_536],
      [Kind.callCancel, 1],
      [Kind.pong, 1, VITALS],
      // A worker on a system that does not tell its memory.
      [Kind.pong, 1, { rssBytes: 0, heapUsedBytes: 0, loopUtilization: 0 }],
      [Kind.pong, 1, { ...VITALS, backgroundWork: 3 }],
    ];
    for (const message of messages) assert.deepEqual(parseToPrimary(message), message);
  });

  it("refuses values that are no messages", () => {
    const values = [
      ...NONSENSE,
      [-1],
      [199],
      [Number.NaN],
      // Messages of the other direction.
      [Kind.hello, PROTOCOL_VERSION, {}],
      [Kind.request, 1, 0, null, "GET", "http://a/", "", "::1", null],
      [Kind.abort, 1, "client-left"],
    ];
    assert.deepEqual(
      values.filter((value) => !isRefused(() => parseToPrimary(value))),
      [],
    );
  });

  it("refuses a message with a wrong element", () => {
    const response = { id: 1, status: 200, statusText: "", fields: "", body: null };
    const wrong = [
      { id: 0 },
      { id: -1 },
      { id: "1" },
      { id: null },
      { id: Number.NaN },
      { status: 0 },
      { status: 100 },
      { status: 199 },
      { status: 600 },
      { status: "200" },
      { status: Number.NaN },
      { status: 200.5 },
      { statusText: null },
      { statusText: 1 },
      { fields: null },
      { fields: [["a", "b"]] },
      { fields: BYTES },
      { body: undefined },
      { body: false },
      { body: 1 },
      { body: {} },
      { body: [1] },
    ].map((change) => [Kind.response, ...Object.values({ ...response, ...change })]);
    const others = [
      [Kind.response],
      [Kind.response, 1, 200],
      [Kind.responseFile, 1, 200, "", ""],
      [Kind.responseFile, 1, 200, "", "", { ...FILE, fd: -1 }],
      [Kind.responseFile, 1, 200, "", "", { ...FILE, inode: "7" }],
      [Kind.responseFile, 1, 99, "", "", FILE],
      [Kind.responsePath, 1, 200, "", ""],
      [Kind.responsePath, 1, 200, "", "", "a.txt"],
      [Kind.responseChunk, 1],
      [Kind.responseChunk, 1, "text"],
      [Kind.responseChunk, 0, BYTES],
      [Kind.responseEnd],
      [Kind.responseEnd, null],
      [Kind.responseAbort, "1"],
      [Kind.requestCredit, 1],
      [Kind.requestCredit, 1, 0],
      [Kind.requestCredit, 1, -1],
      [Kind.requestCredit, 1, "9"],
      [Kind.settled],
      [Kind.settled, 0],
      [Kind.workerHello],
      [Kind.workerHello, PROTOCOL_VERSION + 1],
      [Kind.workerHello, String(PROTOCOL_VERSION)],
      [Kind.ready],
      [Kind.ready, null],
      [Kind.ready, { pid: "7", routes: [] }],
      [Kind.ready, { pid: 7 }],
      [Kind.ready, { pid: 7, routes: null }],
      // The primary uses all of these without another check.
      [Kind.ready, { pid: 7, routes: [undefined] }],
      [Kind.ready, { pid: 7, routes: [{}] }],
      [Kind.ready, { pid: 7, routes: [{ ...ROUTE, methods: "GET" }] }],
      [Kind.ready, { pid: 7, routes: [{ ...ROUTE, limits: { ...LIMITS, bodyLimitBytes: "1" } }] }],
      [Kind.ready, { pid: 7, routes: [{ ...ROUTE, limits: { ...LIMITS, overflow: "wait" } }] }],
      [Kind.ready, { pid: 7, routes: [{ ...ROUTE, limits: { ...LIMITS, sendTimeoutMs: -1 } }] }],
      [Kind.ready, { pid: 7, routes: [{ ...ROUTE, limits: { ...LIMITS, reserved: 1 } }] }],
      [Kind.ready, { pid: 7, routes: [{ ...ROUTE, methodLimits: null }] }],
      [Kind.pong],
      [Kind.pong, 1],
      [Kind.pong, "1", VITALS],
      [Kind.pong, 1, null],
      [Kind.pong, 1, { ...VITALS, rssBytes: -1 }],
      [Kind.pong, 1, { ...VITALS, heapUsedBytes: "1" }],
      [Kind.pong, 1, { ...VITALS, loopUtilization: Number.NaN }],
      [Kind.pong, 1, { ...VITALS, loopUtilization: Infinity }],
      [Kind.pong, 1, { ...VITALS, backgroundWork: -1 }],
      [Kind.socketActs],
      [Kind.responseSocket, 1, "", 1, []],
      [Kind.responseSocket, 1, "", true, [], 1],
      ...[
        null,
        [],
        [199, 1],
        [Act.send, 0, BYTES, true],
        [Act.send, 1, "x", false],
        [Act.close, 1, 1006, ""],
        [Act.close, 1, 999, ""],
        [Act.attach, 1, Buffer.alloc(16 * 1024 + 1)],
        [Act.subscribe, 1, ""],
        [Act.subscribe, 1, "x".repeat(257)],
        [Act.publish, 1, "room", BYTES],
        [Act.confirm, 1, 0],
        [Act.flush, 1, "7"],
        [Act.flush, 1],
        [Act.announce, 0.5, "room", BYTES, true],
      ].map((act) => [Kind.socketActs, [act]]),
      [Kind.purge],
      [Kind.purge, 0, 0, "all"],
      [Kind.purge, 1, 0.5, "all"],
      [Kind.purge, 1, 0, ["all"]],
      [Kind.cacheMatch, 1, 0, null, "https://x.example/"],
      [Kind.cacheMatch, 1, 0, undefined, "", ""],
      [Kind.cachePut, 1, 0, null, "", "", 199, "", "", null],
      [Kind.cachePut, 1, 0, null, "", "", 200, "", "", false],
      [Kind.cachePut, 1, 0, null, "", "", 200, "", ""],
      [Kind.cacheDelete, 1, 0.5, null, ""],
      [Kind.cachePiece, 1, "text"],
      [Kind.cachePiece, 1, new Uint8Array(65_537)],
      [Kind.cachePutEnd, 1, 1],
      [Kind.cacheGrant, 1, 0],
      [Kind.cacheCancel, 0],
      [Kind.call, 0, "service", "default", 0, "GET", "http://x/", "", "::1", 0, false],
      [Kind.call, 1, "queue", "default", 0, "GET", "http://x/", "", "::1", 0, false],
      [Kind.call, 1, "service", null, 0, "GET", "http://x/", "", "::1", 0, false],
      [Kind.call, 1, "service", "default", 17, "GET", "http://x/", "", "::1", 0, false],
      [Kind.call, 1, "service", "default", 0, "GET", "/a", "", "::1", 0, false],
      [Kind.call, 1, "service", "default", 0, "GET", "ftp://x/", "", "::1", 0, false],
      [Kind.call, 1, "service", "default", 0, "GET", "http://x", "", "::1", 0, false],
      [Kind.call, 1, "service", "default", 0, "GET", "http://x/", "", "::1", -1, false],
      [Kind.call, 1, "service", "default", 0, "GET", "http://x/", "", "::1", 0],
      [Kind.callPiece, 1, new Uint8Array(65_537)],
      [Kind.callPieceEnd, 1, null],
      [Kind.callGrant, 1, 0],
      [Kind.callCancel, 0],
      [Kind.loading],
      [Kind.loading, 7, "init"],
      [Kind.loading, "handlers/x.ts", "end"],
      [Kind.bootFailed],
      [Kind.bootFailed, "ERR_HANDLER_LOAD"],
      [Kind.bootFailed, { code: 1, message: "" }],
      [Kind.bootFailed, { code: "" }],
      [Kind.failed],
      [Kind.failed, { requestId: 1, message: "", handler: "", place: null }],
      [Kind.failed, { requestId: "", message: "", handler: "", place: 3 }],
    ];
    assert.deepEqual(
      [...wrong, ...others].filter((value) => !isRefused(() => parseToPrimary(value))),
      [],
    );
  });

  it("takes missing limits as the server's own", () => {
    const named = { bodyLimitBytes: 1, timeoutMs: 2, bodyBufferBytes: 3, overflow: "stream" };
    const route = { ...ROUTE, limits: named, methodLimits: { POST: {} } };
    const [, report] = parseToPrimary([Kind.ready, { pid: 7, routes: [route, null] }]);
    const none = Object.fromEntries(Object.keys(LIMITS).map((name) => [name, null]));
    assert.deepEqual(report, {
      pid: 7,
      routes: [{ ...ROUTE, limits: { ...none, ...named }, methodLimits: { POST: none } }, null],
      warnings: [],
      threads: null,
    });
  });

  it("names the wrong element", () => {
    const limits = { ...LIMITS, overflow: "wait" };
    const cases: [unknown, RegExp][] = [
      [{}, /a message that is a map, expected an array/],
      [[199], /of kind 199, which is unknown/],
      [[Kind.response, 1, "200"], /kind 19: status is '200', expected an integer from 200 to 599/],
      [[Kind.response, 1, 200, "", [], null], /fields is an array of 0, expected a string/],
      [[Kind.responseChunk, 0, BYTES], /id is 0, expected a number above 0/],
      [[Kind.responseChunk, 1, "x".repeat(50)], /bytes is 'x{40}'\.\.\. 10 more characters/],
      [[Kind.purge, 1, 0, null], /entries is nil, expected a string/],
      [[Kind.cacheMatch, 1, 0, 7, "", ""], /cache is 7, expected a string, or nil/],
      [[Kind.pong, 1, { ...VITALS, rssBytes: -1 }], /vitals is a map, expected a map of rssBytes/],
      [[Kind.ready, null], /kind 17: report is nil$/],
      [
        [Kind.ready, { pid: 7, routes: [null, { ...ROUTE, limits }] }],
        /routes\[1\]\.limits\.overflow is 'wait'/,
      ],
      [[Kind.ready, { pid: 7, routes: [ROUTE], warnings: [1] }], /report\.warnings\[0\] is 1$/],
      [[Kind.bootFailed, { code: "" }], /kind 18: failure\.message is undefined$/],
    ];
    for (const [value, message] of cases) {
      assert.throws(() => parseToPrimary(value), { code: "ERR_PROTOCOL", message });
    }
  });

  it("names the version that it expected", () => {
    assert.throws(() => parseToPrimary([Kind.workerHello, 99]), {
      code: "ERR_PROTOCOL",
      message: new RegExp(`version 99, expected ${PROTOCOL_VERSION}`),
    });
  });
});

describe("parseToWorker()", () => {
  it("accepts every message of the protocol as it is", () => {
    const messages = [
      [Kind.hello, PROTOCOL_VERSION, { workerId: 1 }],
      [Kind.request, 1, 0, null, "GET", "http://a/", "", "::1", null],
      [Kind.requestChunk, 1, BYTES],
      [Kind.requestEnd, 1],
      [Kind.abort, 1, "deadline"],
      [Kind.responseCredit, 1, 65_536],
      [Kind.drain, 1000],
      [Kind.purged, 1, 12],
      [Kind.purged, 2, "Cannot purge"],
      [Kind.cacheAnswer, 1, [200, "", "a\nb"], true],
      [Kind.cacheChunk, 1, BYTES],
      [Kind.cacheBroken, 1],
      [Kind.cacheDone, 1, true],
      [Kind.cacheCredit, 1, 65_536],
      [Kind.ping, 1],
    ];
    for (const message of messages) assert.deepEqual(parseToWorker(message), message);
  });

  it("refuses values that are no messages, and another version", () => {
    const values = [
      ...NONSENSE,
      [-1],
      [Number.NaN],
      [Kind.cacheCredit + 1],
      [Kind.response, 1, 200, "", "", null],
      [Kind.hello],
      [Kind.hello, PROTOCOL_VERSION + 1, {}],
    ];
    assert.deepEqual(
      values.filter((value) => !isRefused(() => parseToWorker(value))),
      [],
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExchangeId } from "../../../runtime/channel/messages.ts";
import { describeHang } from "../../../runtime/supervise/hang/describe-hang.ts";
import type { Work } from "../../../runtime/dispatch/work.ts";
import type { Manifest, ManifestRoute } from "../../../runtime/generation/manifest.ts";
import type { StackFrame } from "../../../runtime/lib/stack-frames.ts";

const route = (pattern: string, module: number, middleware: number[] = []): ManifestRoute => ({
  pattern,
  handlers: [{ method: null, module }],
  middleware,
  error: null,
  pool: "default",
});

const MANIFEST: Pick<Manifest, "sourceDir" | "modules" | "routes"> = {
  sourceDir: "/app/handlers",
  modules: ["a.ts", "(g)/b.ts", "_middleware.ts"].map((source) => ({
    source,
    compiled: source,
    hash: "",
    usesPackages: false,
  })),
  routes: [route("/a", 0), route("/b", 1, [2]), route("/c", 0, [2])],
};

function frame(file: string | null): StackFrame {
  return { name: "f", position: file === null ? null : { file, line: 1, column: 1 } };
}

function work(id: number, change: Partial<Work> = {}): Work {
  return {
    id: id as ExchangeId,
    givenId: null,
    route: 0,
    method: "GET",
    target: `/${id}`,
    state: "dispatched",
    forMs: id,
    ...change,
  };
}

function describeWork(works: readonly Work[], files: readonly (string | null)[]) {
  return describeHang(works, {
    stack: files.map(frame),
    manifest: MANIFEST,
    requestIdOf: ({ id }) => `r-${id}`,
  });
}

describe("describeHang()", () => {
  it("names the innermost module of the handlers, and the routes that run it", () => {
    const cases: [files: (string | null)[], handler: string | undefined, routes?: string[]][] = [
      [["/app/lib/x.ts", "/app/handlers/a.ts"], "/app/handlers/a.ts", ["/a", "/c"]],
      [
        [null, "/app/handlers/(g)/b.ts", "/app/handlers/_middleware.ts"],
        "/app/handlers/(g)/b.ts",
        ["/b"],
      ],
      [["/app/handlers/_middleware.ts"], "/app/handlers/_middleware.ts", ["/b", "/c"]],
      [["/app/lib/x.ts"], undefined],
      [[], undefined],
    ];
    for (const [files, handler, routes] of cases) {
      const described = describeWork([], files);
      assert.deepEqual([described.handler, described.routes], [handler, routes]);
    }
  });

  it("lists exchanges in flight, without queries, and aborted ones", () => {
    const works = [
      work(1, { target: "/x?token=1?2", state: "settled" }),
      work(2, { route: -1, state: "answering", method: "POST" }),
      work(3, { route: 2 }),
    ];
    const base = { method: "GET" };
    assert.deepEqual(describeWork(works, []), {
      exchanges: 2,
      inFlight: [
        { ...base, requestId: "r-3", path: "/3", route: "/c", state: "waiting", forMs: 3 },
        { requestId: "r-2", method: "POST", path: "/2", route: null, state: "answering", forMs: 2 },
        { ...base, requestId: "r-1", path: "/x", route: "/a", state: "given up", forMs: 1 },
      ],
    });
  });

  it("lists likely causes first, and few of many", () => {
    const works = Array.from({ length: 1_000 }, (_, index) => work(index + 1));
    works[4] = work(5, { route: 1 });
    const { exchanges, inFlight } = describeWork(works, ["/app/handlers/(g)/b.ts"]);
    assert.equal(exchanges, 1_000);
    assert.equal(inFlight.length, 10);
    assert.deepEqual(
      inFlight.slice(0, 3).map(({ requestId }) => requestId),
      ["r-5", "r-1000", "r-999"],
    );
  });
});

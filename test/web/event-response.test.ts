import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EventStreamInit, toEventResponse } from "../../runtime/web/event-response.ts";
import { topicsOf } from "../../runtime/web/topic-stream.ts";

const BOUNDS = { topics: 2, topicLength: 3, opening: 45 };

describe("toEventResponse()", () => {
  it("names topics once, and has the first messages in its opening", () => {
    const first = ["one\ntwo", ""];
    const headers = { "cache-control": "no-store", "x-own": "yes" };
    const response = toEventResponse(["a", "a", "b"], { first, retryMs: 5, headers }, BOUNDS);
    assert.ok(response.body !== null);
    assert.deepEqual(topicsOf(response.body), {
      topics: ["a", "b"],
      opening: "retry: 5\n\ndata: one\ndata: two\n\ndata: \n\n",
    });
    assert.deepEqual(
      ["content-type", "cache-control", "x-accel-buffering", "x-own"].map((name) =>
        response.headers.get(name),
      ),
      ["text/event-stream", "no-store", "no", "yes"],
    );
  });

  it("refuses what it cannot send, and says what it expected", () => {
    const cases: [topics: unknown, init: unknown, message: RegExp][] = [
      ["", {}, /a topic of 0 characters, expected text of 1 to 3/],
      ["long", {}, /a topic of 4 characters/],
      [[7], {}, /a topic of number/],
      [[], {}, /found 0 topics, expected 1 to 2/],
      [["a", "b", "c"], {}, /found 3 topics/],
      ["a", { first: "x".repeat(40) }, /first messages have 48 characters, expected at most 45/],
      ["a", { first: 7 }, /first messages that are no text/],
      ["a", { first: [7] }, /first messages that are no text/],
      ["a", { retryMs: -1 }, /found retryMs -1, expected whole milliseconds/],
      ["a", { retryMs: 1.5 }, /found retryMs 1.5/],
    ];
    for (const [topics, init, message] of cases) {
      assert.throws(
        () => toEventResponse(topics as string, init as EventStreamInit, BOUNDS),
        (error) => error instanceof TypeError && message.test(error.message),
      );
    }
  });

  it("fails for code that reads the body in the worker", async () => {
    await assert.rejects(
      toEventResponse("a", {}, BOUNDS).text(),
      /Cannot read an event stream in a worker/,
    );
  });
});

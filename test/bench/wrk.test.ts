import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseWrk, requestArgs } from "../../scripts/bench/wrk.ts";

const CLEAN = `Running 4s test @ http://127.0.0.1:7101/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   302.51us  205.97us   5.55ms   83.80%
    Req/Sec   118.66k     6.33k  132.27k    67.50%
  Latency Distribution
     50%  288.00us
     75%  388.00us
     90%  517.00us
     99%    1.04ms
  472150 requests in 4.01s, 57.63MB read
Requests/sec: 117843.29
Transfer/sec:     14.38MB
`;

const TROUBLED = `Running 4s test @ http://127.0.0.1:7101/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.02s   302.51ms   1.99s    83.80%
    Req/Sec   118.66     6.33   132.27    67.50%
  Latency Distribution
     50%    1.10s 
     75%    1.52s 
     90%    1.81s 
     99%    1.05m 
  475 requests in 4.01s, 57.63KB read
  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 55
Requests/sec:    118.45
Transfer/sec:     14.38KB
`;

describe("parseWrk()", () => {
  it("reads counts, the rate, and latencies in microseconds", () => {
    assert.deepEqual(parseWrk(CLEAN), {
      count: 472_150,
      rate: 117_843.29,
      p50Us: 288,
      p99Us: 1040,
      badStatuses: 0,
      socketErrors: 0,
    });
  });

  it("adds up all kinds of socket errors and reads the bad statuses", () => {
    const report = parseWrk(TROUBLED);
    assert.equal(report?.socketErrors, 4321);
    assert.equal(report.badStatuses, 55);
  });

  it("understands seconds and minutes", () => {
    const report = parseWrk(TROUBLED);
    assert.equal(report?.p50Us, 1_100_000);
    assert.equal(report.p99Us, 63_000_000);
  });

  it("refuses text in which a figure is missing", () => {
    assert.equal(parseWrk(""), undefined);
    assert.equal(parseWrk("unable to connect to 127.0.0.1:7101 Connection refused"), undefined);
    for (const figure of ["requests in", "Requests/sec", "50%", "99%"]) {
      const lines = CLEAN.split("\n").filter((line) => !line.includes(figure));
      assert.equal(parseWrk(lines.join("\n")), undefined, figure);
    }
  });
});

describe("requestArgs()", () => {
  const url = "http://127.0.0.1:1/";

  it("needs no script for a plain GET", () => {
    assert.deepEqual(requestArgs(url, { method: "GET", fields: [], body: "" }), [url]);
  });

  it("passes method, body and fields to the script, which stands before the URL", () => {
    const [flag, script, ...rest] = requestArgs(url, {
      method: "POST",
      fields: [
        ["Accept", "*/*"],
        ["Cookie", "a=b; c=d"],
      ],
      body: '{"a": 1}',
    });
    assert.equal(flag, "--script");
    assert.match(script ?? "", /request\.lua$/);
    assert.deepEqual(rest, [url, "--", "POST", '{"a": 1}', "Accept", "*/*", "Cookie", "a=b; c=d"]);
  });
});

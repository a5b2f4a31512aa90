import assert from "node:assert/strict";
import type { ReloadReport } from "../../runtime/control/operations.ts";
import type { LogLine, TestServer } from "./start-server.ts";

/** Reloads a server, one at a time. */
export class Reloads {
  readonly #server: TestServer;

  constructor(server: TestServer) {
    this.#server = server;
  }

  /** Sends SIGHUP and returns the report of the reload. */
  async next(): Promise<ReloadReport> {
    const line = await this.#outcome();
    assert.equal(line.msg, "reloaded");
    // The log line has all fields of it.
    return line as unknown as ReloadReport;
  }

  /** Sends SIGHUP and returns why the reload was refused. */
  async refused(): Promise<string> {
    const { msg = "" } = await this.#outcome();
    assert.match(msg, /^reload refused/);
    return msg;
  }

  async #outcome(): Promise<LogLine> {
    const seen = this.#server.logs.length;
    this.#server.kill("SIGHUP");
    return this.#server.until(
      (line) =>
        this.#server.logs.indexOf(line) >= seen &&
        (line.msg === "reloaded" || line.msg?.startsWith("reload refused") === true),
    );
  }
}

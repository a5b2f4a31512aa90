import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BytesSource } from "../../../runtime/bodies/body-sources.ts";
import { addFilter, type Reply, type ReplyFilter } from "../../../runtime/http/reply.ts";
import { addField } from "../../../runtime/site/filters/add-field.ts";
import { createContext, openClient } from "./open-client.ts";

/** Records the response, which the library takes as a whole. */
class RecordedResponse {
  text = "";

  cork(callback: () => void): this {
    callback();
    return this;
  }

  writeStatus(status: string): this {
    this.text += `${status}\n`;
    return this;
  }

  writeHeader(name: string | Uint8Array, value: string | Uint8Array): this {
    this.text += `${String(Buffer.from(name))}: ${String(Buffer.from(value))}\n`;
    return this;
  }

  end(body = ""): void {
    this.text += `\n${body}`;
  }

  endWithoutBody(): void {
    this.text += "\n";
  }

  onAborted(): this {
    return this;
  }

  onData(): this {
    return this;
  }

  pause(): void {}

  resume(): void {}
}

const OK: Reply = { status: 200, statusText: "", fields: "a\nb", body: "done", lengthBytes: null };

const addC: ReplyFilter = (reply) => ({ ...reply, fields: `${reply.fields}\nc\n1` });
const teapot: ReplyFilter = (reply) => ({ ...reply, status: reply.status === 200 ? 418 : 404 });

function open({ filters, method = "GET" }: { filters: readonly ReplyFilter[]; method?: string }) {
  const errors: unknown[] = [];
  const res = new RecordedResponse();
  const context = createContext({ onError: (error) => errors.push(error) });
  const client = openClient(res, context, { method, bodyBytes: 0 });
  for (const filter of filters) addFilter(client, filter);
  return { client, res, errors };
}

describe("Filters of a reply", () => {
  it("get it one after the other, and a refusal too", () => {
    const answered = open({ filters: [addC, teapot] });
    addField(answered.client, "d", "2");
    answered.client.reply(OK);
    assert.match(answered.res.text, /^418 .*\na: b\r\nc: 1\r\nd: 2\r\n[^]*\n\ndone$/);
    const refused = open({ filters: [addC, teapot] });
    refused.client.refuse(503, { retryAfterSeconds: 7 });
    assert.match(refused.res.text, /^404 [^]*retry-after: 7\r\nc: 1\r\n/);
  });

  it("may leave out a body, whose source is cancelled for HEAD", () => {
    const source = new BytesSource(Buffer.from("12345"));
    const wrap: ReplyFilter = (reply) => ({ ...reply, body: source, lengthBytes: 5 });
    const { client, res } = open({ filters: [wrap], method: "HEAD" });
    client.reply(OK);
    assert.match(res.text, /\ncontent-length: 5\n/);
    assert.equal(source.state, "ended");
  });

  it("that fail cost the reply, which becomes 500 without filters", () => {
    const bug = new Error("bug");
    const source = new BytesSource(Buffer.from("12345"));
    const { client, res, errors } = open({
      filters: [
        () => {
          throw bug;
        },
      ],
    });
    client.reply({ ...OK, body: source });
    assert.match(res.text, /^500 [^]*Internal Server Error\n$/);
    assert.deepEqual(errors, [bug]);
    assert.equal(source.state, "ended");
  });

  it("that add a field which cannot be written are left out of the 502", () => {
    const { client, res } = open({ filters: [] });
    addField(client, "x", "line\r\nfeed");
    client.reply(OK);
    assert.match(res.text, /^502 [^]*Bad Gateway\n$/);
    assert.doesNotMatch(res.text, /feed/);
  });

  it("stay in the 502 for a handler's field that cannot be written", () => {
    const { client, res } = open({ filters: [] });
    addField(client, "c", "1");
    client.reply({ ...OK, fields: "bad name\nx" });
    assert.match(res.text, /^502 [^]*c: 1\r\n/);
  });
});

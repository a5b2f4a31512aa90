import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { statusSchema } from "../../runtime/control/answers.ts";
import { askControl } from "../../runtime/control/control-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPythonServer } from "../helpers/python-server.ts";
import { skipWithoutPython } from "../helpers/python.ts";
import { startCommand } from "../helpers/run-command.ts";
import { fieldValue, send } from "../helpers/send.ts";
import type { TestServer } from "../helpers/start-server.ts";

/** Answers with the number of the call, and with the fields of its query. With `wait`, it waits until that file is there. */
const APP = `
import os
import threading
import time
from urllib.parse import parse_qsl

calls = {}
lock = threading.Lock()


def app(environ, start_response):
    fields = dict(parse_qsl(environ["QUERY_STRING"]))
    name = fields.pop("name", "")
    wait = fields.pop("wait", None)
    with lock:
        calls[name] = number = calls.get(name, 0) + 1
    while wait is not None and not os.path.exists(wait):
        time.sleep(0.01)
    body = f"call {number}".encode()
    start_response("200 OK", [("Content-Length", str(len(body))), *fields.items()])
    return [body]
`;

const FRESH = "Cache-Control=s-maxage%3D600";

async function openAt({ dir }: TestServer): Promise<number> {
  const ask = { method: "GET", path: "/status", timeoutMs: 60_000 } as const;
  const answer = await askControl(join(dir, ".edgicorn"), ask);
  assert.equal(answer.kind, "done");
  return statusSchema.parse(answer.kind === "done" ? answer.value : null).traffic.requests.open;
}

describe("the cache of a WSGI application", { timeout: 300_000, skip: skipWithoutPython() }, () => {
  it("stores its answers as their fields say, with one call for all that wait", async (t) => {
    const server = await startPythonServer(t, {
      app: "cached:app",
      files: { "cached.py": APP },
      flags: ["--app-dir", ".", "--cache", "on", "--cache-wait", "1h"],
    });
    const get = async (query: string, method = "GET"): Promise<[string, string | undefined]> => {
      const answer = await send(`${server.http}/?${query}`, { method });
      return [answer.text, fieldValue(answer, "cache-status")];
    };
    assert.deepEqual(await get(`name=a&${FRESH}`), ["call 1", "Edgicorn; fwd=miss; stored"]);
    const [text, status] = await get(`name=a&${FRESH}`);
    assert.equal(text, "call 1");
    assert.match(status ?? "", /^Edgicorn; hit; ttl=\d+$/);
    assert.match((await get(`name=a&${FRESH}`, "HEAD"))[1] ?? "", /hit/);
    // An unsafe request removes the answer.
    assert.deepEqual(await get(`name=a&${FRESH}`, "POST"), ["call 2", "Edgicorn; fwd=method"]);
    assert.deepEqual((await get(`name=a&${FRESH}`))[0], "call 3");

    for (const number of [1, 2]) {
      const [own, detail] = await get("name=b&Cache-Control=private");
      assert.deepEqual([own, detail], [`call ${number}`, "Edgicorn; fwd=miss; detail=private"]);
    }

    await get(`name=c&${FRESH}&Cache-Tag=news`);
    const purged = await startCommand(["purge", "tag:news"], server.dir).result;
    assert.deepEqual([purged.code, purged.stdout], [0, "purged 1\n"]);
    assert.equal((await get(`name=c&${FRESH}&Cache-Tag=news`))[0], "call 2");

    const go = join(server.dir, "go");
    const query = `name=d&${FRESH}&wait=${go}`;
    const answers = Array.from({ length: 200 }, () => get(query));
    for (const answer of answers) answer.catch(() => {});
    await eventually(t, async () => (await openAt(server)) >= answers.length);
    writeFileSync(go, "");
    const texts = (await Promise.all(answers)).map(([each]) => each);
    assert.deepEqual([...new Set(texts)], ["call 1"]);
  });
});

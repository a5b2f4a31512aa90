import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { Agent, request as requestPlain } from "node:http";
import { Agent as TlsAgent, request as requestTls } from "node:https";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { Status } from "../../runtime/control/operations.ts";
import { askServer } from "../helpers/ask-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { Load } from "../helpers/load.ts";
import { Reloads } from "../helpers/reloads.ts";
import { shareServer } from "../helpers/shared-server.ts";
import type { TestServer } from "../helpers/start-server.ts";

const TOKEN = "a-token-of-the-operators";

const CONFIG = {
  admin: 0,
  adminToken: TOKEN,
  queueLimit: 3,
  pools: { held: { concurrency: 1 } },
  rules: [{ path: "/old", redirect: "/" }],
  accessLogSkip: ["/random/**"],
};

const getServer = shareServer({
  https: true,
  workers: 2,
  handlers: {
    "index.ts": 'export default () => new Response("hello");',
    "users/[id].ts": "export default (request, { params }) => new Response(params.id.repeat(3));",
    "count.post.ts":
      "export default async (request) => new Response(String((await request.text()).length));",
    "stream.ts": `export default () => new Response(new ReadableStream({
      async start(controller) {
        for (let part = 0; part < 4; part++) controller.enqueue(new Uint8Array(30_000));
        controller.close();
      },
    }));`,
    "fails.ts": 'export default () => new Response("no", { status: 501 });',
    "held.ts": `import { existsSync } from "node:fs";
      import { setTimeout } from "node:timers/promises";
      export const config = { pool: "held" };
      export default async () => {
        while (!existsSync("release")) await setTimeout(10);
        return new Response("released");
      };`,
  },
  public: { "page.txt": "a file" },
  files: { "edgicorn.config.json": JSON.stringify(CONFIG) },
});

/** Asks the admin listener. */
async function askAdmin(server: TestServer, path: string): Promise<string> {
  const { address } = await server.until(({ msg }) => msg === "admin listener is open");
  const response = await fetch(`http://${String(address)}${path}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  return response.text();
}

/** Returns the values of all series, by name and labels. */
async function scrape(server: TestServer): Promise<Map<string, number>> {
  const text = await askAdmin(server, "/metrics");
  const samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    samples.map((line) => {
      const end = line.lastIndexOf(" ");
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

const REQUESTS = "edgicorn_http_request_duration_seconds_count";

/** Returns the finished requests by route, method and status. */
function requestsIn(samples: ReadonlyMap<string, number>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [series, value] of samples) {
    const [, route, method, status] =
      /^edgicorn_http_request_duration_seconds_count\{site="default",route="(.*)",method="(.*)",status="(.*)"\}$/.exec(
        series,
      ) ?? [];
    if (route !== undefined) counts.set(`${method} ${route} ${status}`, value);
  }
  return counts;
}

/** Names the requests of files with the status 200. */
const FILES =
  'edgicorn_http_request_duration_seconds{site="default",route="files",method="GET",status="2xx"}';

/** Returns the upper bounds of the buckets of `FILES`. */
function boundsIn(series: readonly string[]): string[] {
  const start = FILES.replace("{", "_bucket{").replace("}", ',le="');
  return series.flatMap((name) =>
    name.startsWith(start) ? [name.slice(start.length).replace('"}', "")] : [],
  );
}

/** Returns the names of all series but those of single workers, which a worker has once it has answered a ping. */
function namesOf(samples: ReadonlyMap<string, number>): string[] {
  return [...samples.keys()].filter((name) => !name.includes('worker="')).toSorted();
}

function sumOf(samples: ReadonlyMap<string, number>, name: string): number {
  return [...samples].reduce((sum, [key, value]) => (key.startsWith(name) ? sum + value : sum), 0);
}

/** Returns the process id of a ready worker of the default pool. */
async function findWorker({ dir }: TestServer): Promise<number> {
  const { stdout } = await askServer(["status", "--json"], dir);
  const { pools } = JSON.parse(stdout) as Status;
  const workers = pools.find(({ name }) => name === "default")?.workers ?? [];
  const ready = workers.find(({ state }) => state === "ready");
  assert.ok(ready !== undefined, stdout);
  return ready.pid;
}

/** Cases of the load, with the route that counts them. */
const CASES = [
  { method: "GET", path: "/", route: "/" },
  { method: "GET", path: "/users/ada", route: "/users/:id" },
  { method: "HEAD", path: "/users/grace", route: "/users/:id" },
  { method: "POST", path: "/count", route: "/count", bytes: 3_000 },
  { method: "POST", path: "/count", route: "/count", bytes: 200_000 },
  { method: "GET", path: "/stream", route: "/stream" },
  { method: "GET", path: "/fails", route: "/fails" },
  { method: "GET", path: "/page.txt", route: "files" },
  { method: "GET", path: "/old", route: "rules" },
  { method: "GET", path: "/nothing", route: "unmatched" },
  { method: "BREW", path: "/nothing", route: "unmatched" },
] as const;

interface Counted {
  key: string;
  /** The method, path and status, as JSON. */
  place: string;
  status: number;
  sentBytes: number;
  receivedBytes: number;
}

/** Tells whether the loss of a worker would cut the request within its body, or the answer within its own. */
function isCuttable({ path, ...one }: (typeof CASES)[number]): boolean {
  return path === "/stream" || ("bytes" in one && one.bytes > 100_000);
}

/** Requests of a load that the loss of a worker would cut: neither side could know how many bytes the other one counted. */
class Cuttable {
  mayStart = true;
  readonly #running = new Set<Promise<unknown>>();

  watch<T>(request: Promise<T>): Promise<T> {
    this.#running.add(request);
    const end = (): void => void this.#running.delete(request);
    request.then(end, end);
    return request;
  }

  /** Lets no further one start, and waits for the end of those that run. */
  async rest(): Promise<void> {
    this.mayStart = false;
    await Promise.allSettled(this.#running);
  }
}

/** Sends requests over HTTP and HTTPS by turns. Nothing is tried twice. */
function startLoad(t: TestContext, server: TestServer, cuttable: Cuttable): Load<Counted> {
  const plain = new Agent({ keepAlive: true, maxSockets: 4 });
  const tls = new TlsAgent({ keepAlive: true, maxSockets: 4, rejectUnauthorized: false });
  t.after(() => {
    plain.destroy();
    tls.destroy();
  });
  return new Load(t, 8, (number) => {
    const next = CASES[number % CASES.length] ?? CASES[0];
    const one = isCuttable(next) && !cuttable.mayStart ? CASES[0] : next;
    const body = Buffer.alloc("bytes" in one ? one.bytes : 0, "x");
    const method = one.method === "BREW" ? "PROPFIND" : one.method;
    const options = { method, headers: { "content-length": String(body.length) } };
    const isTls = Math.trunc(number / CASES.length) % 2 === 1;
    const answered = new Promise<Counted>((resolve, reject) => {
      const sending = isTls
        ? requestTls(server.https + one.path, { ...options, agent: tls })
        : requestPlain(server.http + one.path, { ...options, agent: plain });
      sending.once("error", reject);
      sending.once("response", (response) => {
        let receivedBytes = 0;
        response.on("data", (chunk: Buffer) => (receivedBytes += chunk.length));
        response.once("error", reject);
        response.once("end", () => {
          const { statusCode: status = 0 } = response;
          const label = method === "PROPFIND" ? "other" : method;
          const key = `${label} ${one.route} ${Math.trunc(status / 100)}xx`;
          const place = JSON.stringify([method, one.path, status]);
          resolve({ key, place, status, sentBytes: body.length, receivedBytes });
        });
      });
      sending.end(body);
    });
    return isCuttable(one) ? cuttable.watch(answered) : answered;
  });
}

function countBy<T>(all: readonly T[], keyOf: (each: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const each of all) counts.set(keyOf(each), (counts.get(keyOf(each)) ?? 0) + 1);
  return counts;
}

function toSorted(counts: ReadonlyMap<string, number>): [string, number][] {
  return [...counts].toSorted(([one], [other]) => (one < other ? -1 : 1));
}

describe("/metrics", { timeout: 600_000 }, () => {
  it("agrees exactly with its clients, over reloads and lost workers, and never falls", async (t) => {
    const server = await getServer();
    const before = await scrape(server);
    const cuttable = new Cuttable();
    const load = startLoad(t, server, cuttable);
    let last = before;
    const look = async (): Promise<void> => {
      const now = await scrape(server);
      for (const [series, value] of last) {
        if (!/_(?:total|count|sum|bucket)(?:\{|$)/.test(series) || series.includes("worker="))
          continue;
        assert.ok((now.get(series) ?? -1) >= value, `${series} falls from ${value}`);
      }
      last = now;
    };
    for (let round = 0; round < 2; round++) {
      await load.until(load.results.length + 66);
      await look();
      assert.equal((await askServer(["reload", "--json"], server.dir)).code, 0);
      await load.until(load.results.length + 66);
      await look();
      await cuttable.rest();
      const victim = await findWorker(server);
      process.kill(victim, "SIGKILL");
      await server.until(
        ({ msg, workerPid }) => msg?.startsWith("worker exited") === true && workerPid === victim,
      );
      cuttable.mayStart = true;
    }
    const results = await load.stop();
    const expected = countBy(results, ({ key }) => key);

    // The last bytes of a stream leave before the server notes the end.
    await eventually(t, async () => {
      last = await scrape(server);
      return sumOf(last, REQUESTS) >= sumOf(before, REQUESTS) + results.length;
    });
    assert.deepEqual(toSorted(requestsIn(last)), toSorted(expected));
    const sentBytes = results.reduce((sum, each) => sum + each.sentBytes, 0);
    const receivedBytes = results.reduce((sum, each) => sum + each.receivedBytes, 0);
    assert.equal(last.get("edgicorn_http_received_body_bytes_total"), sentBytes);
    assert.equal(sumOf(last, "edgicorn_http_sent_body_bytes_total"), receivedBytes);
    assert.equal(
      last.get('edgicorn_reload_duration_seconds_count{command="reload",outcome="done"}'),
      2,
    );
    assert.ok(sumOf(last, 'edgicorn_workers_ended_total{pool="default",cause="killed"}') >= 2);

    // The access log has the same requests.
    await eventually(t, () => server.accessLines.length >= results.length);
    const lines = server.accessLines.map(({ method, path, status }) =>
      JSON.stringify([method, path, status]),
    );
    assert.deepEqual(
      toSorted(countBy(lines, String)),
      toSorted(countBy(results, ({ place }) => place)),
    );
  });

  it("gets no series from 10,000 paths and hosts, and from other methods", async (t) => {
    const server = await getServer();
    const connection = await server.connect();
    const sendMany = async (from: number, count: number): Promise<void> => {
      for (let at = from; at < from + count; at += 100) {
        const heads = Array.from({ length: 100 }, (_, index) => {
          const number = at + index;
          const method = ["GET", "HEAD", `M${number}`][number % 3];
          return `${method} /random/${number}?q=${number} HTTP/1.1\r\nHost: h${number}.example\r\n\r\n`;
        });
        connection.send(heads.join(""));
        for (let index = 0; index < 100; index++) {
          await connection.response({ head: (at + index) % 3 === 1 });
        }
      }
    };
    await sendMany(0, 100);
    const before = await scrape(server);
    await sendMany(100, 9_900);
    let after = before;
    await eventually(t, async () => {
      after = await scrape(server);
      return sumOf(after, REQUESTS) >= sumOf(before, REQUESTS) + 9_900;
    });
    assert.deepEqual(namesOf(after), namesOf(before));
  });

  it("answers while the queue is full, apart from all sites", async (t) => {
    const server = await getServer();
    const refusals = 'edgicorn_limit_hits_total{setting="queueLimit"}';
    const before = (await scrape(server)).get(refusals) ?? 0;
    const waiting = Array.from({ length: 6 }, () => server.fetch("/held"));
    const held = 'pool="held"';
    await eventually(t, async () => {
      return (await scrape(server)).get(refusals) === before + 2;
    });
    const full = await scrape(server);
    assert.equal(sumOf(full, `edgicorn_queue_requests{${held}`), 3);
    assert.equal(sumOf(full, `edgicorn_requests_in_flight{${held}`), 1);
    assert.ok(sumOf(full, `edgicorn_queue_age_seconds{${held}`) > 0);
    assert.equal(await askAdmin(server, "/livez"), "ok\n");
    assert.match(
      await askAdmin(server, "/readyz?verbose"),
      /\[\+\] pool held: 1 worker is ready\n/,
    );
    for (const path of ["/metrics", "/livez", "/readyz"]) {
      assert.equal((await server.fetch(path)).status, 404, path);
    }
    writeFileSync(`${server.dir}/release`, "");
    const answers = await Promise.all(waiting);
    const refused = answers.filter(({ status }) => status === 503).length;
    assert.deepEqual([answers.length, refused], [6, 2]);
    assert.ok(answers.every(({ status }) => status === 503 || status === 200));
    const after = await scrape(server);
    assert.equal(after.get(`edgicorn_queue_wait_seconds_count{${held}}`), 3);
    assert.doesNotMatch(server.stderr, new RegExp(TOKEN));
  });

  it("has the buckets of the setting, from a reload on", async () => {
    const server = await getServer();
    await server.fetch("/page.txt");
    const before = [...(await scrape(server)).keys()];
    assert.equal(boundsIn(before).length, 16);
    const configure = (metricsBuckets: readonly string[]): void =>
      writeFileSync(
        join(server.dir, "edgicorn.config.json"),
        JSON.stringify({ ...CONFIG, metricsBuckets }),
      );
    const reloads = new Reloads(server);
    configure(["25ms", "16s"]);
    assert.match(
      await reloads.refused(),
      /metricsBuckets in edgicorn\.config\.json: found "16s", expected a bound that the server counts with, such as "15s" or "18s"/,
    );
    configure(["25ms", "15s"]);
    const { settings } = await reloads.next();
    assert.deepEqual(settings, ["metricsBuckets"]);
    const after = await scrape(server);
    assert.deepEqual(boundsIn([...after.keys()]), ["0.025", "15.0", "+Inf"]);
    // Requests from before the reload are in the new buckets, too.
    const all = after.get(FILES.replace("{", "_bucket{").replace("}", ',le="+Inf"}'));
    assert.equal(all, after.get(FILES.replace("{", "_count{")));
    assert.ok((all ?? 0) > 0);
  });
});

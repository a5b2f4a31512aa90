import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { effectiveConfigSchema, routesSchema } from "../../runtime/control/answers.ts";
import { askControl } from "../../runtime/control/control-client.ts";
import type { Explanation } from "../../runtime/control/explanation.ts";
import { explanationSchema } from "../../runtime/control/explanation-schema.ts";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { findPython } from "../helpers/python.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { type Answer, ask, type Question } from "../nginx/ask.ts";
import { toEdgicornConfig } from "../nginx/edgicorn-config.ts";
import { FILES, QUESTIONS } from "../nginx/requests.ts";
import { HTPASSWD } from "../nginx/start-both.ts";

/** Answers with its own name, so that a test sees which handler ran. */
function handlerOf(name: string, more = ""): string {
  return `${more}\nexport default () => new Response("", { headers: { "x-by": "${name}" } });\n`;
}

const HANDLERS = {
  "index.ts": handlerOf("index.ts"),
  "[...rest].ts": handlerOf("[...rest].ts"),
  "users/[id].ts": handlerOf("users/[id].ts"),
  "users/me.ts": handlerOf("users/me.ts"),
  "read.ts": `export const GET = () => new Response("", { headers: { "x-by": "read.ts" } });\n`,
  "cached.ts": handlerOf("cached.ts", "export const config = { cache: { maxAgeMs: 600000 } };"),
  "slow.ts": handlerOf("slow.ts", "export const config = { timeoutMs: 5000, pool: 'slow' };"),
  "docs/_404.ts": handlerOf("docs/_404.ts"),
};

const hasPython = findPython() !== null;

/** Python applications in the same folder, on a machine with Python. */
const APPLICATIONS = {
  "wsgi/[...path].py": `
def application(environ, start_response):
    start_response("200 OK", [("x-by", "wsgi/[...path].py")])
    return [b""]
`,
  "asgi/items/[id].py": `
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    fields = [(b"x-by", b"asgi/items/[id].py")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b""})
`,
};

/** Rules of the site with handlers. */
function toAppRules(upstream: string): object[] {
  const host = "app.example.test";
  return [
    { host, path: "/proxied/**", proxy: { to: upstream, stripPrefix: "/proxied" } },
    { host, path: "/proxy-cached/**", proxy: upstream, cache: { maxAge: "10m" } },
    { host, path: "/rewritten/**", rewrite: "/users/:splat" },
    { host, path: "/members/**", basicAuth: { users: { ada: HTPASSWD.trim().slice(4) } } },
    { host, path: "/asked/**", forwardAuth: { url: `${upstream}/check` } },
    { host, path: "/limited/**", rateLimit: "1000/s", concurrencyLimit: 100, bodyLimit: "2kb" },
    { host, path: "/down/**", maintenance: { allow: "10.0.0.0/8" } },
    { host, path: "/pages/**", respond: { status: 410 }, errorPages: { "410": "/users/me" } },
    { host, path: "/cors/**", cors: { origins: ["https://other.test"] } },
  ];
}

const ADA = { authorization: `Basic ${Buffer.from("ada:lovelace").toString("base64")}` };

const PATHS_OF_APP = [
  "/",
  "/users/7",
  "/users/me",
  "/users/me/",
  "/users/a%2Fb",
  "/users",
  "/read",
  "/cached",
  "/cached?a=1",
  "/slow",
  "/docs/missing",
  "/deep/er/path",
  "/proxied/a?b=c",
  "/proxied/../read",
  "/proxied%2Fa",
  "/proxy-cached/a",
  "/proxy-cached/b?x=1",
  "/rewritten/me",
  "/rewritten/9",
  "/members/a",
  "/asked/a",
  "/limited/a",
  "/down/a",
  "/pages/a",
  "/cors/a",
  "/%zz",
  "//users//me",
  // Without Python, `[...rest].ts` answers these.
  "/wsgi",
  "/wsgi/",
  "/wsgi/a/b%20c?d=e",
  "/asgi/items/7",
  "/asgi/items/7/more",
  "/asgi/items",
];

/** Requests to handlers, caches, proxies and gates. */
const APP_QUESTIONS: readonly Question[] = [
  ...PATHS_OF_APP.map((path) => ({ path })),
  ...PATHS_OF_APP.map((path) => ({ path, method: "HEAD" })),
  ...[
    "/read",
    "/cached",
    "/proxied/a",
    "/limited/a",
    "/users/me",
    "/wsgi/a",
    "/asgi/items/7",
  ].flatMap((path) => ["POST", "DELETE"].map((method) => ({ path, method, body: "x" }))),
  { path: "/members/a", headers: ADA },
  { path: "/members/a", headers: { authorization: "Basic YWRhOndyb25n" } },
  { path: "/down/a", headers: { "x-forwarded-for": "10.0.0.7" } },
  { path: "/cached", headers: { cookie: "session=1" } },
  { path: "/cached", headers: ADA },
  { path: "/cors/a", method: "OPTIONS", headers: { origin: "https://other.test" } },
  ...["https://other.test", "https://evil.test"].map((origin) => ({
    path: "/cors/a",
    method: "OPTIONS",
    headers: { origin, "access-control-request-method": "POST" },
  })),
  { path: "/read", tls: true },
  { path: "/read?again" },
].map((question) => ({ host: "app.example.test", ...question }));

/** The answer in the words of an explanation. */
function describeAnswer({ status, fields }: Answer, { verdict }: Explanation): string {
  const cached = String(fields["cache-status"] ?? "");
  const by = fields["x-by"];
  // The page of an error comes from a handler, too.
  if (by !== undefined && status < 400 && !cached.includes("hit")) {
    return by === "upstream" ? "proxy" : `handler ${String(by)}`;
  }
  if (cached.includes("hit")) return `cached ${status}`;
  // The worker refuses a method that the module does not export.
  if (verdict.kind === "handler" && status === 405) return `handler without method`;
  return `reply ${status} ${fields.location ?? ""}`.trimEnd();
}

function describeVerdict({ verdict, route, request }: Explanation): string {
  switch (verdict.kind) {
    case "reply":
      return `reply ${verdict.status} ${verdict.location ?? ""}`.trimEnd();
    case "cached":
      return `cached ${verdict.status}`;
    case "proxy":
    case "open":
      return verdict.kind;
    case "handler": {
      const methods = route?.methods ?? [];
      const has = methods.length === 0 || methods.includes(request.method);
      return has ? `handler ${route?.file ?? ""}` : "handler without method";
    }
  }
}

describe("explain()", { timeout: 300_000 }, () => {
  const owner = new SuiteOwner();
  /** The server of the owner uses them until its end. */
  const folders = new SuiteOwner();
  let server: TestServer;

  before(async () => {
    const upstream = createServer((request, response) => {
      response.writeHead(200, { "x-by": "upstream", "x-target": request.url ?? "" }).end("up");
    });
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    owner.after(() => {
      upstream.closeAllConnections();
      upstream.close();
    });
    // A server on a port has such an address.
    const { port } = upstream.address() as AddressInfo;
    server = await start(`http://127.0.0.1:${port}`);
  });
  after(async () => {
    await owner.end();
    await folders.end();
  });

  async function start(upstream: string): Promise<TestServer> {
    const dir = temporaryFolder(folders);
    const htpasswd = join(dir, "htpasswd");
    writeFileSync(htpasswd, HTPASSWD);
    const root = join(dir, "public");
    for (const [name, content] of Object.entries(FILES)) {
      const file = join(root, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    }
    const certs = join(dir, "certs");
    mkdirSync(certs);
    makeCertificate({ base: join(certs, "default"), altNames: "DNS:*.example.test" });
    const [, text = ""] = toEdgicornConfig({ htpasswd, root }).split("export default ");
    // The file holds JSON with these keys.
    const config = JSON.parse(text.replace(/;\s*$/, "")) as { sites: object; rules: object[] };
    const app = join(dir, "app");
    const handlers = { ...HANDLERS, ...(hasPython ? APPLICATIONS : {}) };
    for (const [name, content] of Object.entries(handlers)) {
      mkdirSync(dirname(join(app, name)), { recursive: true });
      writeFileSync(join(app, name), content);
    }
    const sites = { ...config.sites, "app.example.test": { handlers: app } };
    const rules = [...config.rules, ...toAppRules(upstream)];
    return startServer(owner, {
      handlers: {},
      publicFromFile: true,
      https: true,
      files: { "edgicorn.config.json": JSON.stringify({ ...config, sites, rules }) },
      flags: ["--certs", certs, "--compression", "off"],
      workers: 1,
    });
  }

  async function explain(question: Question): Promise<Explanation> {
    const { method = "GET", path, host = "www.example.test", headers, body, tls } = question;
    const length = body === undefined ? [] : [["content-length", String(Buffer.byteLength(body))]];
    const answer = await askControl(join(server.dir, ".edgicorn"), {
      method: "POST",
      path: "/explain",
      body: {
        method,
        url: `${tls === true ? "https" : "http"}://${host}${path}`,
        fields: [...Object.entries(headers ?? {}), ...length],
      },
      timeoutMs: 60_000,
    });
    assert.equal(answer.kind, "done", JSON.stringify(answer));
    const explanation = answer.kind === "done" ? answer.value : null;
    const parsed = explanationSchema.safeParse(explanation);
    assert.ok(parsed.success, JSON.stringify(explanation));
    return parsed.data;
  }

  const reallyAsk = (question: Question): Promise<Answer> =>
    ask({ port: server.port(question.tls === true ? "https" : "http") }, question);

  async function findDifferences(questions: readonly Question[]): Promise<string[]> {
    const differences: string[] = [];
    for (const question of questions) {
      const explanation = await explain(question);
      const answer = await reallyAsk(question);
      const [told, found] = [describeVerdict(explanation), describeAnswer(answer, explanation)];
      if (told !== found) differences.push(`${JSON.stringify(question)}: ${told}, found ${found}`);
    }
    return differences;
  }

  it("agrees with the answers to the requests of the comparison with Nginx", async () => {
    const questions: Question[] = [];
    for (const { group: _, validators, ...question } of QUESTIONS) {
      if (validators === undefined) questions.push(question);
      else {
        const { fields } = await reallyAsk({ path: validators.of });
        const headers: Record<string, string> = { ...question.headers };
        for (const name of validators.send) headers[name] = String(fields.etag);
        questions.push({ ...question, headers });
      }
    }
    assert.ok(questions.length >= 250);
    assert.deepEqual(await findDifferences(questions), []);
  });

  it("agrees with the answers of handlers, caches, proxies and gates", async () => {
    assert.ok(APP_QUESTIONS.length >= 50);
    assert.deepEqual(await findDifferences(APP_QUESTIONS), []);
  });

  it("names the rule that decides, and the places of the limits", async () => {
    const host = "app.example.test";
    const denied = await explain({ path: "/internal/" });
    const [decider] = denied.steps.filter(({ decides }) => decides);
    assert.equal(decider?.name, "deny");
    assert.match(decider?.rules.join() ?? "", /^rules\[12\] in .*edgicorn\.config\.json$/);
    assert.match(decider?.notes.join() ?? "", /127\.0\.0\.1 is in a list of deny/);
    const limited = await explain({ path: "/limited/a", host });
    const placeOf = (name: string): string | undefined => {
      const limit = limited.limits.find((each) => each.name === name);
      return limit === undefined ? undefined : `${limit.value}: ${limit.from}`;
    };
    const rule = `rules[${14 + 5}] in edgicorn.config.json`;
    assert.equal(placeOf("bodyLimit"), `2kb: ${rule}`);
    assert.equal(placeOf("concurrencyLimit"), `100 for each address: ${rule}`);
    assert.equal(placeOf("queueTimeout"), "1m: --queue-timeout");
    assert.equal(placeOf("hangTimeout"), "30s: default");
    const slow = await explain({ path: "/slow", host });
    const timeout = slow.limits.find(({ name }) => name === "requestTimeout");
    assert.deepEqual(timeout, {
      name: "requestTimeout",
      value: "5s",
      from: "config.timeoutMs of slow.ts",
    });
    assert.equal(slow.pool?.pool, "slow");
  });

  it("names the route that wins, and those that lose", async () => {
    const { route } = await explain({ path: "/users/me", host: "app.example.test" });
    assert.deepEqual(
      [route?.pattern, ...(route?.losers ?? []).map(({ pattern }) => pattern)],
      ["/users/me", "/users/:id", "/**:rest"],
    );
  });

  it("counts no request, and takes no token", async () => {
    const question = { path: "/limited/a", host: "app.example.test" };
    const counts = await statusOf();
    const notes = [];
    for (let time = 0; time < 3; time++) {
      const { steps } = await explain(question);
      notes.push(steps.find(({ name }) => name === "rateLimit")?.notes.join());
    }
    assert.match(notes[0] ?? "", /admits 1000 more requests/);
    assert.equal(new Set(notes).size, 1);
    assert.deepEqual(await statusOf(), counts);
  });

  async function statusOf(): Promise<unknown> {
    // The shape of the answer of /status.
    const { traffic } = (await read("/status")) as {
      traffic: { requests: object; limits: object };
    };
    return [traffic.requests, traffic.limits];
  }

  async function read(path: string): Promise<unknown> {
    const question = { method: "GET", path, timeoutMs: 60_000 } as const;
    const answer = await askControl(join(server.dir, ".edgicorn"), question);
    return answer.kind === "done" ? answer.value : answer;
  }

  it("serves the lists of settings and routes that the commands show", async () => {
    const config = effectiveConfigSchema.safeParse(await read("/config"));
    assert.ok(config.success, String(config.error));
    const { settings, others, sites } = config.data;
    const find = (name: string): unknown => settings.find((each) => each.name === name);
    assert.deepEqual(find("compression"), {
      name: "compression",
      value: "off",
      from: "--compression",
    });
    const from = "trustedProxies in edgicorn.config.json";
    assert.deepEqual(find("trustedProxies"), { name: "trustedProxies", value: "loopback", from });
    const [www] = sites.filter(({ name }) => name === "www.example.test");
    assert.ok(www?.settings.some(({ name, value }) => name === "bodyLimit" && value === "1kb"));
    assert.ok(others.some(({ name }) => name === "rules[3]"));
    // The hash of a password.
    assert.doesNotMatch(JSON.stringify(config.data), /apr1/);
    const routes = routesSchema.safeParse(await read("/routes"));
    assert.ok(routes.success, String(routes.error));
    const [slow] = routes.data.filter(({ file }) => file === "slow.ts");
    assert.deepEqual(slow, {
      site: "app.example.test",
      use: "route",
      methods: [],
      pattern: "/slow",
      file: "slow.ts",
      pool: "slow",
      settings: [{ name: "timeoutMs", value: "5s" }],
    });
    assert.equal(routes.data.filter(({ use }) => use === "fallback").length, 1);
  });

  it("names the file and the pool of a Python application", { skip: !hasPython }, async () => {
    const { verdict, route, pool } = await explain({
      path: "/wsgi/a",
      method: "POST",
      host: "app.example.test",
    });
    assert.deepEqual(
      [verdict.kind, route?.file, pool?.ready],
      ["handler", "wsgi/[...path].py", 1],
      JSON.stringify({ route, pool }),
    );
  });

  it("refuses a question that is no request", async () => {
    const answer = await askControl(join(server.dir, ".edgicorn"), {
      method: "POST",
      path: "/explain",
      body: { method: "GET", url: "ftp://x/" },
      timeoutMs: 60_000,
    });
    assert.ok(answer.kind === "refused");
    assert.match(answer.message, /^Cannot explain: found "ftp:\/\/x\/", expected a URL/);
  });
});

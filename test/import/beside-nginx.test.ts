import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { runImport } from "../../runtime/cli/import/import.ts";
import { startServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { startUpstream } from "../helpers/upstreams.ts";
import { ask, type Answer, type Place, type Question } from "../nginx/ask.ts";
import { skipWithoutNginx, startNginx } from "../nginx/nginx-server.ts";

/** Sites as people write them, for Nginx and for the import. `DIR` and `UPSTREAM` are replaced. */
const SITES = `
  include mime.types;
  upstream backend { server UPSTREAM; }
  limit_req_zone $binary_remote_addr zone=login:1m rate=1r/m;

  # A page of one application, with its API behind a proxy.
  server {
    listen 80;
    server_name spa.test;
    root DIR/spa;
    add_header X-Content-Type-Options nosniff always;
    location / { try_files $uri $uri/ /index.html; }
    location /assets/ { expires 1y; add_header Cache-Control "public, immutable"; }
    location /api/ {
      proxy_pass http://UPSTREAM/v1/;
      proxy_set_header Host $host;
      proxy_set_header X-Own yes;
    }
    location ~ /\\.(?!well-known) { deny all; }
  }

  # Files first, then an application.
  server {
    listen 80;
    server_name app.test www.app.test;
    set $base DIR;
    root $base/app;
    client_max_body_size 1k;
    location / { try_files $uri @app; }
    location @app { proxy_pass http://backend; proxy_set_header Host $http_host; proxy_redirect off; }
    location ^~ /private/ { internal; }
    location = /health { access_log off; return 200 "ok"; }
    location = /exact { proxy_pass http://UPSTREAM/other; proxy_set_header Host $host; }
    location ~ ^/(cart|order)/ { proxy_pass http://backend; proxy_set_header Host $host; add_header X-Shop 1; }
  }

  # Redirects and rewrites.
  server {
    listen 80;
    server_name old.test;
    return 301 http://new.test$request_uri;
  }
  server {
    listen 80;
    server_name new.test;
    root DIR/new;
    rewrite ^/blog/(\\d+)/(.*)$ /posts/$2-$1 permanent;
    rewrite ^/short/(.*)$ /long/$1 last;
    location = /moved { return 302 /there; }
    location /docs { return 301 https://docs.test$request_uri; }
    error_page 404 /404.html;
    if ($request_method = DELETE) { return 405; }
  }

  # Who may see what.
  server {
    listen 80;
    server_name closed.test;
    root DIR/closed;
    location / { auth_basic "Members"; auth_basic_user_file DIR/htpasswd; }
    location /open/ { autoindex off; }
    location /no { deny all; }
    location /yes/ { allow all; }
    location ~* ^/uploads/.*\\.php$ { return 403; }
  }

  # Programs of PHP, whose sources must stay hidden.
  server {
    listen 80;
    server_name php.test;
    root DIR/php;
    location / { try_files $uri $uri/ =404; }
    location ~ \\.inc$ { return 404; }
    location ~ [^/]\\.php(/|$) { return 501; }
  }
`;

const FILES: Readonly<Record<string, string>> = {
  htpasswd: "ada:$apr1$abcdefgh$prTPVrJcZSUV5JTgFyzIZ/\n",
  "spa/index.html": "<p>spa",
  "spa/assets/a.css": "a{}",
  "spa/.env": "SECRET",
  "app/robots.txt": "all",
  "app/private/x.txt": "SECRET",
  "new/404.html": "<p>none",
  "new/long/a.txt": "long",
  "new/index.html": "<p>new",
  "closed/index.html": "<p>closed",
  "closed/open/a.txt": "open",
  "closed/no/a.txt": "SECRET",
  "closed/yes/a.txt": "yes",
  "closed/uploads/a.php": "SECRET",
  "php/index.php": "SECRET",
  "php/a.inc": "SECRET",
  "php/a.txt": "text",
};

const PASSWORD = { authorization: `Basic ${Buffer.from("ada:lovelace").toString("base64")}` };

const QUESTIONS: readonly Question[] = [
  ...["/", "/index.html", "/deep/page", "/assets/a.css", "/.env", "/api/users?a=1", "/api/"].map(
    (path) => ({ host: "spa.test", path, headers: { accept: "text/html" } }),
  ),
  { host: "spa.test", path: "/api/users", method: "POST", body: "hello" },
  ...[
    "/robots.txt",
    "/",
    "/any/path?x=y",
    "/private/x.txt",
    "/health",
    "/exact",
    "/exact?x=1",
    "/cart/1",
    "/order/",
    "/ordering",
    "/location",
    "/fails",
  ].map((path) => ({ host: "app.test", path })),
  { host: "www.app.test", path: "/host" },
  { host: "app.test", path: "/upload", method: "POST", body: "x".repeat(2_000) },
  { host: "app.test", path: "/upload", method: "PUT", body: "x".repeat(1_000) },
  ...["/", "/a/b?c=d"].map((path) => ({ host: "old.test", path })),
  ...[
    "/",
    "/blog/7/hi",
    "/blog/x/hi",
    "/short/a.txt",
    "/moved",
    "/docs",
    "/docs/a",
    "/docsx",
    "/nothing",
  ].map((path) => ({ host: "new.test", path })),
  { host: "new.test", path: "/", method: "DELETE" },
  ...["/", "/open/a.txt", "/no/a.txt", "/no", "/nox", "/yes/a.txt", "/uploads/a.php"].flatMap(
    (path) => [
      { host: "closed.test", path },
      { host: "closed.test", path, headers: PASSWORD },
    ],
  ),
  ...["/a.txt", "/index.php", "/index.php/x", "/a.inc", "/none"].map((path) => ({
    host: "php.test",
    path,
  })),
];

/** Fields that both servers must agree about. */
const COMPARED = [
  "cache-control",
  "content-type",
  "location",
  "www-authenticate",
  "x-content-type-options",
  "x-own",
  "x-seen",
  "x-shop",
] as const;

describe("an imported config beside Nginx", { skip: skipWithoutNginx(), timeout: 240_000 }, () => {
  const owner = new SuiteOwner();
  let nginx: Place;
  let ours: Place;

  before(async () => {
    const dir = temporaryFolder(owner);
    for (const [name, text] of Object.entries(FILES)) {
      mkdirSync(dirname(join(dir, name)), { recursive: true });
      writeFileSync(join(dir, name), text);
    }
    const upstream = await startUpstream(owner, (request, response) => {
      const { method, url = "", headers } = request;
      if (url === "/location") response.setHeader("location", "/login");
      const own = String(headers["x-own"] ?? "");
      response.setHeader("x-seen", `${method} ${url} ${headers.host} ${own}`);
      response.writeHead(url === "/fails" ? 500 : url === "/location" ? 302 : 200);
      request.resume().once("end", () => response.end(`answer to ${url}`));
    });
    const text = SITES.replaceAll("DIR", dir).replaceAll("UPSTREAM", `127.0.0.1:${upstream.port}`);
    writeFileSync(join(dir, "nginx.conf"), text);
    const environment = null;
    await runImport({
      words: ["nginx.conf"],
      environment,
      json: false,
      cwd: dir,
      env: process.env,
    });
    const sockets = await startNginx(owner, ({ http }) =>
      text
        .replace("include mime.types;", "include /etc/nginx/mime.types;")
        .replaceAll("listen 80;", `listen unix:${http};`),
    );
    nginx = { socketPath: sockets.http };
    const server = await startServer(owner, { handlers: {}, cwd: dir, publicFromFile: true });
    ours = { port: server.port("http") };
  });
  after(() => owner.end());

  it("has the same status and fields for each request", async () => {
    const differences: string[] = [];
    for (const question of QUESTIONS) {
      const expected = DIFFERENT[`${question.host} ${question.path}`];
      // Requests of one client in their order.
      // oxlint-disable-next-line no-await-in-loop
      const [one, other] = [await ask(nginx, question), await ask(ours, question)];
      const found = describeDifference(one, other);
      if (found !== (expected ?? "")) {
        differences.push(`${question.method ?? "GET"} ${question.host}${question.path}: ${found}`);
      }
    }
    assert.deepEqual(differences, []);
  });
});

/** Known differences, which docs/nginx.md tells. */
const DIFFERENT: Readonly<Record<string, string>> = {
  // The name of a site is a setting, whose redirect keeps the method.
  "old.test /": "301 became 308",
  "old.test /a/b?c=d": "301 became 308",
  // The import says that a pattern takes more or less than the expression.
  "new.test /blog/x/hi": "404 became 301",
  "new.test /docsx": "301 became 404",
  "new.test /docs": "location: https://docs.test/docs became https://docs.test/docs/",
};

function describeDifference(one: Answer, other: Answer): string {
  if (one.status !== other.status) return `${one.status} became ${other.status}`;
  const isPage = one.status >= 300;
  return COMPARED.filter((name) => !(isPage && name === "content-type"))
    .map((name) => [name, normalise(name, one), normalise(name, other)] as const)
    .filter(([name, was, is]) => was !== is && !(was === "" && ADDED.has(name)))
    .map(([name, was, is]) => `${name}: ${was} became ${is}`)
    .join(", ");
}

/** Fields that this server adds to files. */
const ADDED: ReadonlySet<string> = new Set(["cache-control", "x-content-type-options"]);

/** Returns a value without the parts that both servers may write in another way. */
function normalise(name: (typeof COMPARED)[number], { fields }: Answer): string {
  const text = String(fields[name] ?? "");
  if (name === "content-type") return text.replace(/;.*$/, "");
  if (name === "location") return text.replace(/^http:\/\/new\.test/, "");
  return name === "www-authenticate" ? text.replace(/, charset.*$/, "") : text;
}

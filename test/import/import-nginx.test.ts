import assert from "node:assert/strict";
import http from "node:http";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { CARRIED } from "../../runtime/cli/import/nginx-directives.ts";
import { LOST, NOT_NEEDED, READ_ELSEWHERE } from "../../runtime/cli/import/nginx-known.ts";
import { NginxSyntaxError } from "../../runtime/cli/import/parse-nginx.ts";
import { convert, convertServer } from "./convert.ts";

describe("importNginx(): directives of a server", () => {
  const cases: readonly [lines: string, config: Record<string, unknown>, remarks: RegExp[]][] = [
    ["root /srv/www;", { public: "/srv/www" }, []],
    ["root html;", { public: "/usr/share/nginx/html" }, []],
    ["set $base /srv; root $base/www;", { public: "/srv/www" }, []],
    ["root $a;", {}, [/folder has no variables/]],
    ["root /a; location / { try_files $uri $uri/ /index.html; }", { public: "/a", spa: true }, []],
    ["root /a; location / { try_files $uri =404; }", { public: "/a" }, []],
    ["root /a; autoindex on;", { public: "/a", listing: true }, []],
    ["root /a; location /f/ { autoindex on; }", { public: "/a", listing: true }, [/all folders/]],
    [
      "location / { root /a; } location = /50x.html { root /a; } error_page 500 502 /50x.html;",
      { public: "/a", rules: [{ errorPages: { "500": "/50x.html", "502": "/50x.html" } }] },
      [],
    ],
    [
      "root /a; location /s/ { alias /b/; }",
      { public: "/a", publicLinks: "follow" },
      [/ln -s \/b \/a\/s$/],
    ],
    [
      "client_max_body_size 8m; client_body_timeout 10s; send_timeout 2m; location = /x { return 404; }",
      {
        bodyLimit: "8mb",
        bodyTimeout: "10s",
        sendTimeout: "2m",
        rules: [{ path: "/x", respond: { status: 404 } }],
      },
      [],
    ],
    [
      "client_max_body_size 0m; return 204;",
      { bodyLimit: "1024gb", rules: [{ respond: { status: 204 } }] },
      [],
    ],
    [
      'root /a; add_header X-A "b  c" always; add_header X-V $host;',
      { public: "/a", rules: [{ setFields: { "x-a": "b c" } }] },
      [/fields have no variables/],
    ],
    [
      "root /a; location /s/ { expires 1h; }",
      { public: "/a", cacheControl: { "/s/**": "max-age=3600" } },
      [],
    ],
    [
      "root /a; location /s/ { expires 1y; add_header Cache-Control public,immutable; }",
      { public: "/a", cacheControl: { "/s/**": "max-age=31536000, public, immutable" } },
      [],
    ],
    [
      "return 301 https://example.org$request_uri;",
      {
        sites: {
          default: {
            rules: [{ path: "/**", redirect: { to: "https://example.org/:splat", status: 301 } }],
          },
        },
      },
      [],
    ],
    [
      "root /a; location = /old { return 301 /new; }",
      { public: "/a", rules: [{ path: "/old", redirect: { to: "/new?", status: 301 } }] },
      [],
    ],
    [
      "root /a; rewrite ^/blog/(.*)$ /posts/$1 permanent;",
      {
        public: "/a",
        rules: [{ path: "/blog/**", redirect: { to: "/posts/:splat", status: 301 } }],
      },
      [],
    ],
    [
      "root /a; location /p/ { allow 10.0.0.0/8; deny all; }",
      { public: "/a", rules: [{ path: "/p/**", allow: ["10.0.0.0/8"] }] },
      [],
    ],
    [
      "root /a; location /p { deny all; }",
      { public: "/a", rules: [{ path: "/p*/**", deny: ["0.0.0.0/0", "::/0"] }] },
      [],
    ],
    [
      'root /a; location /p/ { auth_basic "Own"; auth_basic_user_file users; }',
      {
        public: "/a",
        rules: [{ path: "/p/**", basicAuth: { file: "/etc/nginx/users", realm: "Own" } }],
      },
      [],
    ],
    ["root /a; location ~ /\\.ht { deny all; }", { public: "/a" }, []],
    [
      "root /a; location ~ \\.php$ { fastcgi_pass unix:/p.sock; }",
      {
        public: "/a",
        rules: [
          { path: "/**/*.php", respond: { status: 501 } },
          { path: ["/**/*.php", "/*.php/**"], respond: { status: 501 } },
        ],
      },
      [/no FastCGI/],
    ],
    ["root /a; location ~ x.*y { deny all; }", { public: "/a" }, [/clients get these paths/]],
    [
      "location ^~ /b/ { internal; } root /a;",
      { public: "/a", rules: [{ path: "/b/**", respond: { status: 404 } }] },
      [],
    ],
    [
      "location / { proxy_pass http://127.0.0.1:3000; proxy_set_header Host $host; }",
      { proxy: "http://127.0.0.1:3000" },
      [],
    ],
    [
      "location / { proxy_pass http://127.0.0.1:3000; }",
      { proxy: { to: "http://127.0.0.1:3000", host: "upstream" } },
      [],
    ],
    [
      "location /api/ { proxy_pass http://127.0.0.1:3000/v1/; proxy_set_header Host $host; }",
      {
        rules: [
          {
            path: "/api/**",
            proxy: { to: "http://127.0.0.1:3000", stripPrefix: "/api", addPrefix: "/v1" },
          },
        ],
      },
      [],
    ],
    [
      "location / { proxy_pass http://unix:/run/a.sock; proxy_set_header Host $host; proxy_read_timeout 2m; proxy_redirect off; }",
      {
        proxy: {
          to: "unix:/run/a.sock",
          firstByteTimeout: "2m",
          idleTimeout: "2m",
          rewriteLocation: false,
        },
      },
      [],
    ],
    ["location / { proxy_pass http://$a; }", {}, [/has no variables/]],
    [
      "root /a; location / { try_files $uri @app; } location @app { proxy_pass http://127.0.0.1:1; proxy_set_header Host $host; }",
      { public: "/a", proxy: "http://127.0.0.1:1" },
      [],
    ],
    [
      "root /a; location / { return 404; } location /api/ { proxy_pass http://127.0.0.1:1; proxy_set_header Host $host; }",
      { rules: [{ path: "/api/**", proxy: "http://127.0.0.1:1" }] },
      [/would come before location \/api\/: write a rule/],
    ],
    [
      "root /a; location / { auth_basic A; auth_basic_user_file /u; } location /open/ { index x; }",
      {
        public: "/a",
        rules: [{ path: "/open/**", basicAuth: "off" }, { basicAuth: { file: "/u", realm: "A" } }],
      },
      [],
    ],
    [
      "root /a; if ($request_method !~ ^(GET|HEAD)$) { return 405; }",
      {
        public: "/a",
        rules: [
          {
            method: http.METHODS.filter((method) => method !== "GET" && method !== "HEAD"),
            respond: { status: 405 },
          },
        ],
      },
      [/further ones pass/],
    ],
    [
      'root /a; if ($arg_token = "") { return 401 "no token"; }',
      {
        public: "/a",
        rules: [
          {
            query: { token: false },
            respond: { status: 401, body: "no token", fields: { "content-type": "text/plain" } },
          },
        ],
      },
      [],
    ],
    [
      "root /a; error_page 404 /x.html; access_log off;",
      { public: "/a", accessLog: false, rules: [{ errorPages: { "404": "/x.html" } }] },
      [],
    ],
    ["root /a; no_such_thing on;", { public: "/a" }, [/not known/]],
    ["root /a; ssi on;", { public: "/a" }, [/in a handler/]],
  ];
  for (const [lines, expected, patterns] of cases) {
    it(lines, () => {
      const { config, remarks } = convertServer(lines);
      assert.deepEqual(config, expected);
      assert.equal(remarks.length, patterns.length, JSON.stringify(remarks));
      for (const [index, pattern] of patterns.entries()) {
        assert.match(remarks[index]?.reason ?? "", pattern);
      }
    });
  }
});

describe("importNginx(): servers", () => {
  it("joins the servers for HTTP, HTTPS and another name", () => {
    const { config, remarks } = convert(`
      server { listen 80; listen [::]:80; server_name a.example www.a.example; return 301 https://a.example$request_uri; }
      server { listen 443 ssl; server_name www.a.example; return 301 https://a.example$request_uri; }
      server {
        listen 443 ssl; server_name a.example; root /a;
        ssl_certificate /etc/letsencrypt/live/a.example/fullchain.pem;
        ssl_certificate_key /etc/letsencrypt/live/a.example/privkey.pem;
      }`);
    assert.deepEqual(config, {
      http: 80,
      https: 443,
      certs: "/etc/letsencrypt/live",
      public: "/a",
      httpsRedirect: true,
      canonicalHost: "a.example",
    });
    assert.deepEqual(remarks, []);
  });

  it("knows the servers that certbot writes", () => {
    const { config } = convert(`
      server { server_name a.example; root /a; listen 443 ssl; }
      server { if ($host = a.example) { return 301 https://$host$request_uri; }
        listen 80; server_name a.example; return 404; }`);
    assert.deepEqual(config, { http: 80, https: 443, public: "/a", httpsRedirect: true });
  });

  it("makes a site of each name, and the default site of the default server", () => {
    const { config, remarks } = convert(`
      server { listen 80 default_server; root /d; add_header x-d 1; }
      server { listen 80; server_name b.example *.b.example; root /b; }`);
    assert.deepEqual(config, {
      http: 80,
      https: false,
      sites: {
        default: { rules: [{ setFields: { "x-d": "1" } }] },
        "b.example": { aliases: ["*.b.example"], public: "/b" },
      },
      public: "/d",
    });
    assert.deepEqual(remarks, []);
  });

  it("refuses unknown hosts where Nginx does, and tells where it does not", () => {
    const refusing = "server { listen 80 default_server; return 444; }";
    const site = "server { listen 80; server_name a.example; root /a; }";
    assert.equal(convert(refusing + site).config["unknownHost"], "refuse");
    const { config, remarks } = convert(
      `${site} server { listen 80; server_name b.example; root /b; }`,
    );
    assert.equal(config["unknownHost"], "refuse");
    assert.deepEqual(
      remarks.map(({ kind }) => kind),
      ["changed"],
    );
  });

  it("leaves out servers of other ports, and says so with the line as it is written", () => {
    const { config, remarks } = convert(`
      server { listen 8081; server_name status; root /s; }
      server { listen 80; root /a; }`);
    assert.deepEqual(config, { http: 80, https: false, public: "/a" });
    assert.deepEqual(
      remarks.map(({ line, place }) => [line, place]),
      [["listen 8081", "nginx.conf:2"]],
    );
  });

  it("has one remark for a reason that concerns several lines", () => {
    const location = "{ proxy_pass http://a; proxy_set_header Upgrade $http_upgrade; }";
    const { config, remarks } = convert(`
      server { listen 443 ssl http2; listen [::]:443 ssl http2; location / ${location}
        location /x/ ${location} }`);
    assert.equal(config["http2"], true);
    assert.deepEqual(
      remarks.map(({ line, reason }) => [line, reason.includes("passes no WebSockets on")]),
      [["proxy_set_header Upgrade $http_upgrade", true]],
    );
  });

  it("carries over the groups that a proxy uses", () => {
    const { config } = convert(`
      upstream unused { server a:1; }
      upstream app { ip_hash; server a:1 weight=3 max_fails=2 fail_timeout=30s; server b:1 backup; }
      server { listen 80; location / { proxy_pass http://app; proxy_set_header Host $host; } }`);
    assert.deepEqual(config["upstreams"], {
      app: {
        servers: [
          { url: "http://a:1", weight: 3 },
          { url: "http://b:1", backup: true },
        ],
        balance: { hash: "address" },
        health: { failures: 2, window: "30s" },
      },
    });
    assert.equal(config["proxy"], "app");
  });

  it("puts the application in the place of the proxy to Gunicorn", () => {
    const text = "server { listen 80; location / { proxy_pass http://localhost:8001; } }";
    assert.equal(convert(text, ["127.0.0.1:8001"]).config["app"], "\u0000app");
    assert.equal(convert(text, ["127.0.0.1:9"]).config["app"], undefined);
  });
});

/** Names in docs/nginx.md that are no directives. */
const NO_DIRECTIVES = new Set(["nginx", "certbot", "default_server"]);

it("every directive of docs/nginx.md is known", () => {
  const page = readFileSync(new URL("../../docs/nginx.md", import.meta.url), "utf8");
  const table = page.split("\n## Directives")[1]?.split("\n## ")[0] ?? "";
  const names = table
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .flatMap((line) => [...(line.split(" | ")[0] ?? "").matchAll(/`([a-z][a-z0-9_]+)[` ]/g)])
    .map(([, name = ""]) => name);
  assert(names.length > 150, "the table has its directives in the first column");
  for (const name of new Set(names)) {
    const isKnown =
      Object.hasOwn(CARRIED, name) ||
      Object.hasOwn(LOST, name) ||
      NOT_NEEDED.has(name) ||
      READ_ELSEWHERE.has(name);
    assert(isKnown || NO_DIRECTIVES.has(name), name);
  }
});

it("no directive is both carried over and lost or not needed", () => {
  const all = [...Object.keys(CARRIED), ...Object.keys(LOST), ...NOT_NEEDED, ...READ_ELSEWHERE];
  const twice = all.filter((name, index) => all.indexOf(name) !== index);
  assert.deepEqual(twice, []);
});

/** Characters that mean something in a file, and others. */
const DAMAGE = "{};\"'\\$ \n~^()|/*#%\u0000é".split("");

it("damaged files are refused with their line, or imported", () => {
  const whole = `
    user www; http { upstream a { server 127.0.0.1:1; } map $a $b { default "x"; }
      server { listen 443 ssl http2; server_name a.example; root /a; if ($host = b) { return 301 https://a$request_uri; }
        location ~ ^/(a|b)/(\\d+)$ { rewrite ^/(.*)$ /x/$1 last; add_header A "b c"; expires 1d; }
        location / { try_files $uri @x; limit_req zone=a; allow 10.0.0.0/8; deny all; }
        location @x { proxy_pass http://a; proxy_set_header Host $host; } } }`;
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.constantFrom(...DAMAGE)), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(damage, fc.nat(whole.length), (changes, end) => {
      const characters = whole.split("");
      for (const [at, character] of changes) characters[at] = character;
      try {
        convert(characters.slice(0, end).join(""));
      } catch (error) {
        if (!(error instanceof NginxSyntaxError)) throw error;
      }
    }),
    { numRuns: 1_000 },
  );
});

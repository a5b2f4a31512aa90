import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parsePathPattern } from "../../runtime/lib/path-pattern.ts";
import { convert, convertServer } from "./convert.ts";

/** Lines for the users of one file. */
function users(name: string): string {
  return `auth_basic A; auth_basic_user_file /${name};`;
}

/** Rules of a server whose files are in `/a`. */
function rulesOf(lines: string): unknown {
  return convertServer(`root /a; ${lines}`).config["rules"];
}

const UP = "proxy_pass http://127.0.0.1:1; proxy_set_header Host $host;";

describe("importNginx(): fields that an upstream trusts", () => {
  it("removes the fields that it cannot set, with a remark unless Nginx removes them, too", () => {
    const imported = convertServer(`location / { ${UP}
      proxy_set_header X-Forwarded-User ""; proxy_set_header X-Client-IP $remote_addr;
      proxy_set_header X-Remote-User $remote_user; proxy_set_header X-Original-URI $request_uri;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Real-IP "";
      proxy_set_header Connection ""; proxy_set_header X-Scheme https; }`);
    assert.deepEqual(imported.config["proxy"], {
      to: "http://127.0.0.1:1",
      setRequestFields: { "x-scheme": "https" },
      removeRequestFields: [
        "x-forwarded-user",
        "x-client-ip",
        "x-remote-user",
        "x-original-uri",
        "x-real-ip",
      ],
    });
    assert.deepEqual(
      imported.remarks.map(({ line, kind }) => [line, kind]),
      [
        ["proxy_set_header X-Client-IP $remote_addr", "lost"],
        ["proxy_set_header X-Remote-User $remote_user", "lost"],
        ["proxy_set_header X-Original-URI $request_uri", "lost"],
      ],
    );
  });

  it("removes them before an application, too", () => {
    const { config } = convert(
      "server { listen 80; location / { proxy_pass http://127.0.0.1:1; proxy_set_header Host $host; proxy_set_header X-Remote-User $remote_user; } }",
      ["127.0.0.1:1"],
    );
    assert.deepEqual(config["rules"], [{ removeRequestFields: ["x-remote-user"] }]);
  });

  it("keeps the fields that the service of auth_request gives", () => {
    const { config } = convertServer(`location = /check { internal; proxy_pass http://127.0.0.1:2; }
      location / { auth_request /check; auth_request_set $user $upstream_http_x_user; ${UP}
        proxy_set_header X-User $user; proxy_set_header X-Name $user; }`);
    assert.deepEqual(config["proxy"], {
      to: "http://127.0.0.1:1",
      removeRequestFields: ["x-name"],
    });
  });
});

describe("importNginx(): locations that guard", () => {
  it("hold for all paths that begin as they do, also with a dot in the last segment", () => {
    const cases = {
      "location /api/v1.2 { auth_basic A; auth_basic_user_file /u; }": "/api/v1.2*/**",
      "location /admin.php { deny all; }": "/admin.php*/**",
      "location /notes.txt { deny all; }": "/notes.txt*/**",
      "location = /admin.php { deny all; }": "/admin.php",
      "location /robots.txt { access_log off; add_header x-a 1; }": "/robots.txt",
    };
    for (const [lines, path] of Object.entries(cases)) {
      const { config } = convertServer(`root /a; ${lines}`);
      const [rule] = config["rules"] as { path: string }[];
      assert.equal(rule?.path, path, lines);
    }
  });
});

describe("importNginx(): the block around the servers", () => {
  it("keeps its rules beside those of one server, and of several", () => {
    const one = "server { listen 80; server_name a.test; root /a; location /p/ { deny all; } }";
    const own = { path: "/p/**", deny: ["0.0.0.0/0", "::/0"] };
    const outer = { deny: ["203.0.113.9"] };
    const alone = convert(`http { deny 203.0.113.9; ${one} }`);
    assert.deepEqual(alone.config["rules"], [own, outer]);
    const another = "server { listen 80; server_name b.test; root /b; }";
    const both = convert(`http { deny 203.0.113.9; ${one} ${another} }`);
    assert.deepEqual(both.config["rules"], [outer]);
  });

  it("gives its users way to those of a server", () => {
    const { config } = convert(`http { ${users("all")}
      server { listen 80; server_name a.test; root /a; ${users("own")} }
      server { listen 80; server_name b.test; root /b; } }`);
    assert.equal(config["rules"], undefined);
    const sites = config["sites"] as Record<string, { rules: { basicAuth: { file: string } }[] }>;
    const files = (name: string): string[] | undefined =>
      sites[name]?.rules.map(({ basicAuth }) => basicAuth.file);
    assert.deepEqual([files("a.test"), files("b.test")], [["/own", "/all"], ["/all"]]);
  });
});

describe("importNginx(): access of a part of the paths", () => {
  const everyone = ["0.0.0.0/0", "::/0"];
  const cases: readonly [name: string, lines: string, rules: unknown, reasons: RegExp[]][] = [
    [
      "tells that a location cannot admit clients that the server refuses",
      "root /a; deny all; location /open/ { allow all; }",
      [{ deny: everyone }],
      [/every list must admit them/],
    ],
    [
      "tells that nested lists of addresses must all admit a client",
      "root /a; allow 10.0.0.1; deny all; location /b/ { allow 10.0.0.2; deny all; }",
      [{ path: "/b/**", allow: ["10.0.0.2"] }, { allow: ["10.0.0.1"] }],
      [/every list must admit them/],
    ],
    [
      "reads a file of users of its own with the realm of the server",
      "root /a; auth_basic A; auth_basic_user_file /all; location /b/ { auth_basic_user_file /few; }",
      [
        { path: "/b/**", basicAuth: { file: "/few", realm: "A" } },
        { basicAuth: { file: "/all", realm: "A" } },
      ],
      [],
    ],
    [
      "keeps clients out where the file of users has variables",
      "root /a; location /b/ { auth_basic A; auth_basic_user_file /users/$host; }",
      [{ path: "/b/**", deny: everyone }],
      [/in place of this `deny`/],
    ],
    [
      "asks a service by the path of its location",
      "root /a; location = /check { internal; proxy_pass http://127.0.0.1:1; proxy_set_header Host a; } location /b/ { auth_request /check; }",
      [
        {
          path: "/check",
          respond: { status: 404 },
          proxy: { to: "http://127.0.0.1:1", host: "a" },
        },
        { path: "/b/**", forwardAuth: { url: "http://127.0.0.1:1/check" } },
      ],
      [],
    ],
    [
      "keeps clients out where a service has variables",
      "root /a; location = /check { internal; proxy_pass http://$a; } location /b/ { auth_request /check; }",
      [
        { path: "/check", respond: { status: 404 } },
        { path: "/b/**", deny: everyone },
      ],
      [/has no variables/, /in place of this `deny`/],
    ],
  ];
  for (const [name, lines, rules, reasons] of cases) {
    it(name, () => {
      const { config, remarks } = convertServer(lines);
      assert.deepEqual(config["rules"], rules);
      assert.equal(remarks.length, reasons.length, JSON.stringify(remarks));
      for (const [index, { reason }] of remarks.entries()) {
        assert.match(reason, reasons[index] ?? /^$/);
      }
    });
  }

  it("keeps clients out where a service is a group of upstreams", () => {
    const { config, remarks } = convert(`upstream group { server 127.0.0.1:1; }
      server { listen 80; root /a; location = /check { internal; proxy_pass http://group/ok; }
        location /b/ { auth_request /check; } }`);
    assert.deepEqual((config["rules"] as unknown[])[1], { path: "/b/**", deny: everyone });
    assert(remarks.some(({ reason }) => reason.includes("no group of upstreams")));
  });

  it("makes no limit of a dry run", () => {
    const { config, remarks } = convert(`limit_conn_zone $binary_remote_addr zone=a:1m;
      limit_conn_dry_run on; server { listen 80; root /a; limit_conn a 1; }`);
    assert.equal(config["rules"], undefined);
    assert.match(remarks[0]?.reason ?? "", /no dry run/);
  });
});

describe("importNginx(): a folder that also holds the source of an application", () => {
  it("is not public where a proxy answers the other paths", () => {
    const { config, remarks } = convertServer(`root /srv/app; location / { ${UP} }
      location /static/ { expires 1h; } location = /robots.txt {} location ~ ^/api/ { ${UP} }`);
    assert.equal(config["public"], "public");
    assert.equal(config["publicLinks"], "follow");
    assert.deepEqual(
      remarks.map(({ line, reason }) => [line, reason.replace(/^.*: /, "")]),
      [
        ["location /static/", "mkdir -p public && ln -s /srv/app/static public/static"],
        [
          "location = /robots.txt",
          "mkdir -p public && ln -s /srv/app/robots.txt public/robots.txt",
        ],
      ],
    );
  });

  it("is public where files come first, as for Nginx", () => {
    const cases = [
      `root /a; location / { try_files $uri @app; } location @app { ${UP} }`,
      `root /a; location /api/ { ${UP} }`,
      `root /a; deny 192.0.2.1; location /api/ { ${UP} }`,
    ];
    for (const lines of cases) assert.equal(convertServer(lines).config["public"], "/a", lines);
  });
});

describe("importNginx(): hidden files", () => {
  const proxy = `location / { ${UP} }`;
  const cases: readonly [expression: string, closed: string[], open: string[], gap: RegExp][] = [
    [
      "/\\.git",
      ["/.git/objects/0a/1", "/a/.git/config", "/a/b/.gitignore"],
      ["/git"],
      /two segments/,
    ],
    [
      "/\\.",
      ["/.env", "/.a/b/c", "/a/.b/c/d", "/a/b/c/.d/e", "/.well-known/x"],
      ["/a.b"],
      /two segments/,
    ],
    ["(^|/)\\.(ht|svn)", ["/.htaccess", "/a/b/.svn/entries"], ["/.git/config"], /two segments/],
    ["/\\.(?!well-known).*", ["/.git/config", "/a/.env"], ["/.well-known/x"], /\.env, \.git/],
  ];
  for (const [expression, closed, open, gap] of cases) {
    it(`stay closed before a proxy: ${expression}`, () => {
      const { config, remarks } = convertServer(`location ~ ${expression} { deny all; } ${proxy}`);
      const [rule] = config["rules"] as { path: string[]; deny: string[] }[];
      assert.deepEqual(rule?.deny, ["0.0.0.0/0", "::/0"]);
      const patterns = rule.path.map((text) => {
        const pattern = parsePathPattern(text);
        assert(!("expected" in pattern), text);
        return pattern.expression;
      });
      const isClosed = (path: string): boolean => patterns.some((one) => one.test(path));
      for (const path of closed) assert(isClosed(path), path);
      for (const path of open) assert(!isClosed(path), path);
      assert.deepEqual(
        remarks.map(({ kind }) => kind),
        ["lost"],
      );
      assert.match(remarks[0]?.reason ?? "", gap);
    });
  }

  it("need no rule where files alone answer, apart from /.well-known/", () => {
    assert.equal(rulesOf("location ~ /\\.ht { deny all; }"), undefined);
    assert.equal(rulesOf("location ~ /\\.(?!well-known) { deny all; }"), undefined);
    assert.deepEqual(rulesOf("location ~ /\\. { return 404; }"), [
      { path: "/.well-known/**", respond: { status: 404 } },
    ]);
  });

  it("are lost where no pattern says the same", () => {
    const { remarks } = convertServer(`location ~ /\\.[a-z] { deny all; } ${proxy}`);
    assert.match(remarks[0]?.reason ?? "", /clients get these paths/);
  });
});

describe("importNginx(): a named location after files", () => {
  it("keeps its access rules", () => {
    const { config, remarks } = convertServer(`root /a; location / { try_files $uri @app; }
      location /open/ { try_files $uri =404; }
      location @app { auth_basic A; auth_basic_user_file /u; deny 192.0.2.1; add_header x-a 1; ${UP} }`);
    assert.deepEqual(config["rules"], [
      { path: "/open/**", basicAuth: "off" },
      { deny: ["192.0.2.1"], basicAuth: { file: "/u", realm: "A" } },
    ]);
    assert.deepEqual(
      remarks.map(({ line, kind }) => [line, kind]),
      [
        ["add_header x-a 1", "lost"],
        ["location @app", "changed"],
        ["deny 192.0.2.1", "changed"],
      ],
    );
  });

  it("opens no files by its own access rules", () => {
    const { config, remarks } = convertServer(`root /a; auth_basic A; auth_basic_user_file /u;
      location / { try_files $uri @app; } location @app { auth_basic off; ${UP} }`);
    assert.deepEqual(config["rules"], [{ basicAuth: { file: "/u", realm: "A" } }]);
    assert(remarks.some(({ reason, kind }) => kind === "lost" && /stays on/.test(reason)));
  });
});

describe("importNginx(): rules that are wider than the config of Nginx", () => {
  const closed = [{ basicAuth: { file: "/u", realm: "A" } }];

  it("switch off no access rule", () => {
    const cases = [
      `root /a; ${users("u")} location ~ ^/p/\\d+$ { auth_basic off; }`,
      `root /a; location / { ${users("u")} } location ~ ^/p/\\d+$ { expires off; }`,
    ];
    for (const lines of cases) {
      const { config, remarks } = convertServer(lines);
      assert.deepEqual(config["rules"], closed, lines);
      assert(remarks.some(({ reason, kind }) => kind === "lost" && /stays on/.test(reason)));
    }
  });

  it("name the methods of Node.js in place of all others, with a remark", () => {
    const { config, remarks } = convertServer(
      "root /a; if ($request_method !~ ^(GET|POST)$) { return 405; }",
    );
    const [rule] = config["rules"] as { method: string[] }[];
    for (const method of ["HEAD", "PUT", "MOVE", "PROPFIND", "TRACE", "UNLINK"]) {
      assert(rule?.method.includes(method), method);
    }
    assert(!rule?.method.includes("GET") && !rule?.method.includes("POST"));
    assert.match(remarks[0]?.reason ?? "", /further ones pass/);
  });
});

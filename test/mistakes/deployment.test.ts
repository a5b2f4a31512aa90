import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { generateKey, signCertificate } from "../../runtime/tls/sign-certificate.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { describeMistakes } from "./plant.ts";

const FILES = { "handlers/index.ts": `export default () => new Response("hello");\n` };
const DAY_MS = 24 * 3_600_000;

const holder = createServer().listen(0);
after(() => void holder.close());
await once(holder, "listening");
const address = holder.address();
const TAKEN = typeof address === "object" && address !== null ? String(address.port) : "";

/** A certificate of an operator that ends so many days from now, and its key. */
function makeCertificate(days: number): { cert: string; key: string } {
  const key = generateKey();
  const notAfter = new Date(Date.now() + days * DAY_MS);
  const cert = signCertificate(createPrivateKey(key), {
    commonName: "operator",
    names: ["shop.test"],
    addresses: [],
    notBefore: new Date(notAfter.getTime() - 90 * DAY_MS),
    notAfter,
  });
  return { cert, key };
}

const EXPIRED = makeCertificate(-1);
const VALID = makeCertificate(60);

describeMistakes("deployment", [
  {
    name: "check while another program has the port",
    command: "check",
    files: FILES,
    flags: ["--http", TAKEN],
    code: 70,
    says: [new RegExp(`http on \\*:${TAKEN}: .*in use by process ${process.pid} `), /--http PORT/],
  },
  {
    name: "a start while another program has the port",
    command: "start",
    files: FILES,
    flags: ["--http", TAKEN],
    code: 70,
    says: [new RegExp(`http on \\*:${TAKEN}: .*in use by process ${process.pid} `), /--http PORT/],
  },
  {
    name: "one port for HTTP and HTTPS",
    command: "check",
    files: FILES,
    flags: ["--http", "8443", "--https", "8443"],
    code: 78,
    says: [/--http and --https are both 8443/, /expected two ports/],
  },
  {
    name: "a certificate that has expired",
    command: "check",
    files: { ...FILES, "certs/shop.crt": EXPIRED.cert, "certs/shop.key": EXPIRED.key },
    flags: ["--https", "0"],
    code: 0,
    says: [/warning: .*certs\/shop\.crt expired on 20/],
  },
  {
    name: "a key that does not match its certificate",
    command: "check",
    files: { ...FILES, "certs/shop.crt": VALID.cert, "certs/shop.key": EXPIRED.key },
    flags: ["--https", "0"],
    code: 70,
    says: [
      /certs\/shop\.key: found the key of another certificate/,
      /expected the one of .*shop\.crt/,
    ],
  },
  {
    name: "a public folder that is not there",
    command: "check",
    files: FILES,
    flags: ["--public", "pulbic"],
    code: 78,
    says: [/--public: found no folder \S+pulbic/, /"off"/],
  },
  {
    name: "keys in the public folder",
    command: "check",
    files: { ...FILES, "public/certs/a.txt": "" },
    flags: ["--public", "public", "--certs", "public/certs"],
    code: 78,
    says: [/contains the private keys/, /expected a folder whose files every client may read/],
  },
  {
    name: "links in the public folder that lead out of it, or to a hidden file",
    command: "start",
    files: { ...FILES, "public/a.txt": "a", "public/.env": "SECRET=1" },
    prepare(dir) {
      symlinkSync("/etc", join(dir, "public/conf"));
      symlinkSync(".env", join(dir, "public/env.txt"));
    },
    request: "/conf/hostname",
    status: 404,
    says: [
      /public\/conf: found a symbolic link to \/etc, outside of \S+public/,
      /public\/env\.txt: found a symbolic link to \S+\.env, a hidden file/,
      /publicLinks to "follow"/,
    ],
  },
  {
    name: "a compressed file that is older than its file",
    command: "start",
    files: { ...FILES, "public/app.js": "new", "public/app.js.gz": "old" },
    prepare(dir) {
      const [older, old] = [2, 1].map((minutes) => new Date(Date.now() - minutes * 60_000));
      utimesSync(join(dir, "public/app.js"), old ?? 0, old ?? 0);
      utimesSync(join(dir, "public/app.js.gz"), older ?? 0, older ?? 0);
    },
    async meanwhile(server) {
      await server.until(({ msg }) => msg?.includes("app.js.gz") === true);
    },
    says: [/public\/app\.js\.gz is not served: .*older/, /compress the file again, or remove/],
  },
  {
    name: "a value of publicLinks that there is not",
    command: "check",
    files: { ...FILES, "edgicorn.config.json": `{ "publicLinks": "all" }` },
    code: 78,
    says: [/publicLinks in edgicorn\.config\.json: found "all"/, /"inside".*"follow"/],
  },
  {
    name: "a flag that is misspelt, and one of another server",
    command: "check",
    files: FILES,
    flags: ["--htpp", "80", "--root", "www"],
    code: 78,
    says: [/--htpp: .*did you mean "--http"/, /--root: .*did you mean "--public"/],
  },
  {
    name: "a duration without a unit, and a size with one that there is not",
    command: "check",
    files: FILES,
    flags: ["--request-timeout", "30", "--body-limit", "10mbb"],
    code: 78,
    says: [
      /--request-timeout: found "30", expected .*"30s"/,
      /--body-limit: found "10mbb", expected .*"10mb"/,
    ],
  },
  {
    name: "no workers",
    command: "check",
    files: FILES,
    flags: ["--workers", "0"],
    code: 78,
    says: [/--workers: found "0"/, /from 1 to 1024/],
  },
  {
    name: "a state folder that cannot be made",
    command: "start",
    files: { ...FILES, state: "a file" },
    flags: ["--state-dir", "state/edgicorn"],
    code: 78,
    says: [/state folder \S+state\/edgicorn: /, /--state-dir DIR/],
  },
  {
    name: "a pid file in a folder that is not there",
    command: "check",
    files: FILES,
    flags: ["--pid-file", "run/edgicorn.pid"],
    code: 78,
    says: [/--pid-file: found no folder \S+run/, /in a folder that exists/],
  },
]);

describe("planted mistakes: commands", { timeout: 120_000 }, () => {
  const alone: [name: string, args: string[], code: number, says: RegExp[]][] = [
    ["stop with no server", ["stop"], 69, [/No server runs/, /\.edgicorn\/control\.sock/]],
    ["status with no server", ["status"], 69, [/No server runs/, /\.edgicorn\/control\.sock/]],
    ["reload with no server", ["reload"], 69, [/No server runs/, /\.edgicorn\/control\.sock/]],
    ["a command that is misspelt", ["strat"], 78, [/Cannot run strat/, /did you mean "start"/]],
    ["a flag of start for stop", ["stop", "--http", "1"], 78, [/--http with stop/, /--state-dir/]],
    ["a word too many", ["reload", "now"], 78, [/found "now"/, /expected only flags/]],
  ];
  for (const [name, args, code, says] of alone) {
    it(name, async (t) => {
      const result = await runCommand(args, temporaryFolder(t));
      assert.equal(result.code, code, result.stderr);
      for (const pattern of says) assert.match(result.stderr, pattern);
    });
  }

  it("a second start, and a reload with a certificate that has expired", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": FILES["handlers/index.ts"] },
      workers: 1,
      flags: ["--https", "0"],
    });
    const second = await runCommand(["start", "--http", "0", "--https", "off"], server.dir);
    assert.equal(second.code, 70);
    assert.match(
      second.stderr,
      new RegExp(`already running: process ${server.pid} serves at http:`),
    );
    assert.match(second.stderr, /"edgicorn stop" ends it, "edgicorn reload"/);
    mkdirSync(join(server.dir, "certs"), { recursive: true });
    writeFileSync(join(server.dir, "certs/shop.crt"), EXPIRED.cert);
    writeFileSync(join(server.dir, "certs/shop.key"), EXPIRED.key, { mode: 0o600 });
    const reload = await runCommand(["reload"], server.dir);
    assert.equal(reload.code, 0);
    assert.match(reload.stderr, /^warning: .*certs\/shop\.crt expired on 20\S+\n$/);
  });
});

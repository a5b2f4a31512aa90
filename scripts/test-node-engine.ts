// Runs the end-to-end tests of connections against the engine on Node's own sockets. `npm test` runs them against uWebSockets.js.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const NAMES = [
  "answers",
  "bodies",
  "connection-limit",
  "expect-continue",
  "limits",
  "proxy-web-sockets",
  "reload",
  "request-limits",
  "responses",
  "slow-clients",
  "static-files",
  "streaming",
  "tls-suites",
  "upgrade",
  "web-sockets",
];

process.chdir(join(import.meta.dirname, ".."));
const files = NAMES.map((name) => join("test", "e2e", `${name}.test.ts`));
const args = ["--import", "tsx", "--test", "--test-concurrency=3", ...files];
const env = { ...process.env, EDGICORN_TEST_BUILT: "1", EDGICORN_TEST_ENGINE: "node" };
process.exitCode = spawnSync(process.execPath, args, { stdio: "inherit", env }).status ?? 1;

// Runs the tests with other versions of Node: `npm run test:node -- 22 24 --debian` (docs/dependencies.md).
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { insideDebian, openDebianRoot } from "./debian-root.ts";
import { fetchNode, NODE_VERSIONS } from "./fetch-node.ts";

const USAGE = `Usage: npm run test:node -- NODE... [--debian] [--uws PACKAGE] [TEST...]

Runs the tests with each Node (${Object.keys(NODE_VERSIONS).join(", ")}), which npm fetches.
  --debian       in a Debian 13 root, which debootstrap makes: Node 24 and 25 need its glibc
  --uws PACKAGE  with the binary of this package, as the setting uws has it
  TEST           only these files`;

const project = join(import.meta.dirname, "../..");
const { values, positionals } = parseArgs({
  options: { debian: { type: "boolean" }, uws: { type: "string" } },
  allowPositionals: true,
});
const nodes = positionals.filter((word) => Object.hasOwn(NODE_VERSIONS, word));
const named = positionals.filter((word) => !nodes.includes(word));
const unknown = named.filter((word) => !word.endsWith(".test.ts"));
if (nodes.length === 0 || unknown.length > 0) {
  console.error(
    unknown.map((word) => `Cannot use "${word}": expected a Node or a test file\n`).join("") +
      USAGE,
  );
  process.exit(64);
}
const files = named.length > 0 ? named : allTests();
const root = values.debian === true ? openDebianRoot() : null;
for (const major of nodes) {
  const node = fetchNode(major);
  const test = [node, "--import", "tsx", "--test", "--test-concurrency=2", ...files];
  const command = root === null ? test : insideDebian(root, { project, command: test });
  const where = root === null ? "" : " in Debian 13";
  console.log(`Node ${NODE_VERSIONS[major]}${where}: ${files.length} test files`);
  const [program = "", ...args] = command;
  const path = [dirname(node), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
  const { status } = spawnSync(program, args, {
    cwd: project,
    stdio: "inherit",
    env: {
      ...process.env,
      // `npm run test:node` has built the program, with its own Node.
      EDGICORN_TEST_BUILT: "1",
      PATH:
        root === null ? `${dirname(node)}${delimiter}${process.env["PATH"] ?? ""}` : path.join(":"),
      ...(values.uws === undefined ? {} : { TEST_UWS: values.uws }),
    },
  });
  if (status !== 0) process.exitCode = status ?? 1;
}

function allTests(): string[] {
  return readdirSync(join(project, "test"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts") && !name.includes("node_modules"))
    .map((name) => join("test", name))
    .toSorted();
}

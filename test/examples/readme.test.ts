import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fieldValue, type Received, send, type Sent } from "../helpers/send.ts";
import { startServer } from "../helpers/start-server.ts";

const ROOT = join(import.meta.dirname, "../..");

/** A command that the README shows, and what it says comes back. */
interface Example {
  command: string;
  output: string;
}

describe("README.md", { timeout: 180_000 }, () => {
  it("shows what each example answers", async (t) => {
    const examples = readExamples(readFileSync(join(ROOT, "README.md"), "utf8"));
    assert.ok(examples.length >= 10, "examples were found");
    const server = await startServer(t, {
      handlers: join(ROOT, "handlers"),
      public: join(ROOT, "public"),
      https: true,
    });
    for (const { command, output } of examples) {
      const shown = await run(parseCommand(command), server.https);
      assert.equal(shown.replace(/\n$/, ""), output, command);
    }
  });
});

/** In ```console blocks: a line that begins with `$`, then what it prints. */
function readExamples(markdown: string): Example[] {
  const blocks = [...markdown.matchAll(/^```console\n(.*?)^```$/gms)].map(
    ([, block = ""]) => block,
  );
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .filter((text) => text !== "")
      .map((text) => {
        const [command = "", ...output] = text.trimEnd().split("\n");
        return { command, output: output.join("\n") };
      }),
  );
}

interface Command {
  url: URL;
  sent: Sent;
  /** `-w`: printed after the body. */
  writeOut: string;
  /** `| grep -o`: only what matches is printed. */
  grep: RegExp | null;
}

/** Reads the part of curl and grep that the README uses; anything else fails. */
function parseCommand(command: string): Command {
  const words = [...command.matchAll(/'([^']*)'((?=\s|$))|([^\s']+)(?:'([^']*)')?/g)].map(
    ([, quoted, , plain = "", rest = ""]) => quoted ?? plain + rest,
  );
  const pipe = words.indexOf("|");
  const [program, ...flags] = pipe === -1 ? words : words.slice(0, pipe);
  assert.equal(program, "curl", command);
  let grep: RegExp | null = null;
  if (pipe !== -1) {
    const [filter, option, pattern = ""] = words.slice(pipe + 1);
    assert.deepEqual([filter, option], ["grep", "-o"], command);
    grep = new RegExp(pattern, "g");
  }

  const headers: Record<string, string> = {};
  const data: string[] = [];
  let method: string | undefined;
  let writeOut = "";
  let url: URL | undefined;
  for (let word = flags.shift(); word !== undefined; word = flags.shift()) {
    if (word === "-k" || word === "-ks") continue;
    if (!word.startsWith("-")) {
      url = new URL(word);
      continue;
    }
    const value = flags.shift() ?? assert.fail(command);
    if (word === "-X") method = value;
    else if (word === "-d") data.push(value);
    else if (word === "-r") headers["range"] = `bytes=${value}`;
    else if (word === "-w") writeOut = value.replaceAll("\\n", "\n");
    else if (word === "-H") {
      const [name = "", field = ""] = value.split(": ");
      headers[name] = field;
    } else assert.fail(`${word} in ${command}`);
  }
  assert.ok(url !== undefined, command);
  if (data.length === 0) return { url, sent: { method: method ?? "GET", headers }, writeOut, grep };
  headers["content-type"] ??= "application/x-www-form-urlencoded";
  const sent = { method: method ?? "POST", headers, body: data.join("&") };
  return { url, sent, writeOut, grep };
}

/** What the command prints. The README's server is at https://localhost:8443; this one is elsewhere. */
async function run({ url, sent, writeOut, grep }: Command, origin: string): Promise<string> {
  assert.equal(url.origin, "https://localhost:8443");
  const received = await send(origin + url.pathname + url.search, sent);
  const shown = grep === null ? received.text : [...received.text.matchAll(grep)].join("\n");
  return shown + format(writeOut, { received, url });
}

function format(text: string, { received, url }: { received: Received; url: URL }): string {
  const location = fieldValue(received, "location");
  return text
    .replaceAll("%{http_code}", String(received.status))
    .replaceAll("%{redirect_url}", location === undefined ? "" : new URL(location, url).href);
}

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { createProject } from "./project.ts";

/** Starts a thread or a process and waits for its first message. */
const ASK = `import { once } from "node:events"; import { Worker } from "node:worker_threads"; import { fork } from "node:child_process";
  async function ask(worker) { const [told] = await once(worker, "message"); return told; }\n`;

const TELL = `import { parentPort } from "node:worker_threads"; import { shared } from "./shared.ts";
  const told: unknown = { shared, url: import.meta.url };
  if (parentPort) parentPort.postMessage(told); else process.send?.(told, () => process.disconnect());`;

describe("threads", { concurrency: 2 }, () => {
  it("are compiled as entries of their own, wherever they are started", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `${ASK}
        const filename = new URL("../lib/t.ts", import.meta.url);
        export const all = [
          await ask(new Worker(new URL("../lib/t.ts", import.meta.url))),
          await ask(new Worker(filename)), await ask(fork(new URL('../lib/t.ts',  import.meta.url))),
          (await ask(new Worker(new URL("../lib/js.js", import.meta.url)))).shared,
          await ask(new Worker(new URL("../lib/outer.mts",
            import.meta.url))),
        ]; export const stack = new Error("here").stack.split("\\n")[1];`,
      "handlers/b.ts": `import { readFileSync } from "node:fs";
        export const text = readFileSync(new URL("../lib/shared.ts", import.meta.url), "utf8"); export const own = new URL("./x.js", import.meta.url).href;`,
      "handlers/x.js": "export default 1;",
      "lib/t.ts": TELL,
      "lib/js.js": TELL.replace("const told: unknown", "const told"),
      "lib/outer.mts": `${ASK} import { parentPort } from "node:worker_threads"; parentPort.postMessage(await ask(new Worker(new URL("./t.ts", import.meta.url))));`,
      "lib/shared.ts": `export const shared = "one" as string;`,
    });
    const before = await project.build({ mode: "production" });
    const [a, b] = await project.load(before, ["a.ts", "b.ts"]);
    const told = { shared: "one", url: pathToFileURL(join(project.dir, "lib/t.ts")).href };
    assert.deepEqual(a?.["all"], [told, told, told, "one", told]);
    assert.equal(b?.["text"], `export const shared = "one" as string;`);
    assert.equal(b?.["own"], pathToFileURL(join(project.dir, "handlers/x.js")).href);
    assert.deepEqual(before.warnings, []);
    assert.ok(before.inputs.includes(join(project.dir, "lib/shared.ts")));
    // Another thread is another handler, though no import leads there.
    await project.write({ "lib/shared.ts": `export const shared = "two";` });
    const after = await project.build();
    const changed = before.modules.map(({ hash }, index) => after.modules[index]?.hash !== hash);
    assert.deepEqual(changed, [true, false, false]);
  });

  it("are named when they cannot be compiled", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `import { Worker } from "node:worker_threads"; import { join } from "node:path";
export const start = () => [new Worker("./t.ts"), new Worker(join(import.meta.dirname, "t.ts")),
  new Worker(new URL("./missing.ts", import.meta.url)), new Worker("./t.js"), new Worker(new URL("./t.ts", import.meta.url))];`,
      "handlers/t.ts": "export default 1;",
    });
    const { warnings } = await project.build();
    const file = join(project.dir, "handlers/a.ts");
    const remedy = `expected new Worker(new URL("./t.ts", import.meta.url))`;
    const refused = `A thread cannot load "./t.ts" by its path: Node does not compile TypeScript, ${remedy}`;
    assert.deepEqual(warnings.toSorted(), [
      `${file}:2:29: ${refused}`,
      `${file}:2:51: ${refused.replace('"./t.ts"', '"t.ts"')}`,
      `${file}:3:14: Could not find "./missing.ts"`,
    ]);
  });

  it("keep lines and columns, and report their own", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `import { Worker } from "node:worker_threads"; import { once } from "node:events";
        const where = [new URL("./_t.ts", import.meta.url), new Error("here").stack?.split("\\n")[1]];
        const [error] = await once(new Worker(where[0]!), "error"); export const all = [where[1], error.stack];`,
      "handlers/_t.ts": `type T = string;\n\nthrow new Error("there" as T);`,
    });
    const [a] = await project.load(await project.build(), ["a.ts"]);
    const [here, there] = (a?.["all"] ?? []) as string[];
    assert.match(here ?? "", /0-a\.mjs/);
    assert.match(there ?? "", /handlers\/_t\.ts:3:7/);
  });
});

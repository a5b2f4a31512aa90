import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startServer } from "../helpers/start-server.ts";

const H =
  "/** @jsxRuntime classic @jsx h */\nconst h = (tag, _, ...children) => tag + children.join();\n";

/** One of each kind, two of which share a module. */
const HANDLERS = {
  "_shared.ts": `export const name: string = "shared";`,
  "js.js": `import { name } from "./_shared.ts";\nexport default () => new Response(name);`,
  "ts.ts": `import { name } from "./_shared.ts";\nexport default (): Response => new Response(name);`,
  "jsx.jsx": `${H}export const GET = () => new Response(<p>jsx</p>);`,
  "tsx.tsx": `${H.replace("tag, _, ...children", "tag: string, _: unknown, ...children: string[]")}
    export default { fetch: (): Response => new Response(<p>tsx</p> as unknown as string) };`,
  "own.mjs": `import { inPackage } from "#own";\nexport default () => new Response(inPackage);`,
  "cjs.cjs": `module.exports = () => new Response("cjs");`,
  "late.js": `export default async () => new Response((await import("./_late.js")).late);`,
  "_late.js": `export const late = "late";`,
};

const ANSWERS = {
  "/js": "shared",
  "/ts": "shared",
  "/jsx": "pjsx",
  "/tsx": "ptsx",
  "/own": "own",
  "/cjs": "cjs",
  "/late": "late",
};

describe("handlers of a project", { timeout: 60_000 }, () => {
  for (const [title, type] of [
    ["of CommonJS modules", { type: "commonjs" }],
    ["of ES modules", { type: "module" }],
    ["that does not say what its modules are", {}],
  ] as const) {
    it(`${title} load, whatever they are written in`, async (t) => {
      const description = { name: "project", imports: { "#own": "./own.mjs" }, ...type };
      const server = await startServer(t, {
        handlers: HANDLERS,
        workers: 1,
        files: {
          "package.json": JSON.stringify(description),
          "own.mjs": `export const inPackage = "own";`,
        },
      });
      const answers: Record<string, string> = {};
      for (const path of Object.keys(ANSWERS)) {
        answers[path] = await (await server.fetch(path)).text();
      }
      assert.deepEqual(answers, ANSWERS);
    });
  }
});

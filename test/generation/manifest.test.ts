import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import { loadManifest } from "../../runtime/generation/manifest.ts";
import type { Manifest } from "../../runtime/generation/manifest.ts";

const manifest: Manifest = {
  formatVersion: 2,
  id: "20260131-235959123456-9f86d081",
  createdAt: "2026-01-31T23:59:59.123Z",
  mode: "development",
  sourceDir: "/srv/handlers",
  modules: [{ source: "a.ts", compiled: "modules/0-a.js", hash: "00", usesPackages: false }],
  routes: [
    {
      pattern: "/a",
      handlers: [{ method: "GET", module: 0 }],
      middleware: [0],
      error: 0,
      pool: "default",
    },
  ],
  fallbacks: [{ pattern: "/**", module: 0, middleware: [], error: null, pool: "default" }],
  packages: "ab",
  inputs: [],
  warnings: [],
};

async function createGeneration(t: TestContext, text: string | null): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "edgicorn-manifest-"));
  t.after(() => rm(dir, { recursive: true, force: true }));
  if (text !== null) await writeFile(join(dir, "manifest.json"), text);
  return dir;
}

describe("loadManifest()", () => {
  it("loads what the build has written", async (t) => {
    assert.deepEqual(
      await loadManifest(await createGeneration(t, JSON.stringify(manifest))),
      manifest,
    );
  });

  it("takes the manifest of an earlier version, which names no mode, for one of production", async (t) => {
    const text = JSON.stringify({ ...manifest, mode: undefined });
    const loaded = await loadManifest(await createGeneration(t, text));
    assert.deepEqual(loaded, { ...manifest, mode: "production" });
  });

  const broken: [name: string, text: string | null, message: RegExp][] = [
    ["a missing file", null, /ENOENT/],
    ["half a file", JSON.stringify(manifest).slice(0, 100), /JSON/],
    ["no object", "[]", /no object$/],
    [
      "another version",
      JSON.stringify({ ...manifest, formatVersion: 1 }),
      /format version 1, expected 2 or 3$/,
    ],
    ...Object.keys(manifest)
      .filter((key) => key !== "formatVersion" && key !== "mode")
      .map((key): [string, string, RegExp] => [
        `no ${key}`,
        JSON.stringify({ ...manifest, [key]: undefined }),
        new RegExp(`"${key}" is missing or damaged$`),
      ]),
    [
      "another mode",
      JSON.stringify({ ...manifest, mode: "test" }),
      /"mode" is missing or damaged$/,
    ],
    [
      "a module number too high",
      JSON.stringify({ ...manifest, modules: [] }),
      /"routes" is missing or damaged$/,
    ],
    [
      "a route without handlers",
      JSON.stringify({ ...manifest, routes: [{ ...manifest.routes[0], handlers: [] }] }),
      /"routes"/,
    ],
    [
      "a fraction as number",
      JSON.stringify({ ...manifest, fallbacks: [{ ...manifest.fallbacks[0], module: 0.5 }] }),
      /"fallbacks"/,
    ],
    [
      "a module without a file",
      JSON.stringify({ ...manifest, modules: [{ source: "a.ts", hash: "" }] }),
      /"modules"/,
    ],
  ];
  for (const [name, text, message] of broken) {
    it(`refuses ${name}`, async (t) => {
      const dir = await createGeneration(t, text);
      await assert.rejects(loadManifest(dir), (error: Error) => {
        assert.equal(Reflect.get(error, "code"), "ERR_HANDLER_LOAD");
        assert.ok(
          error.message.startsWith(`Cannot use generation: ${join(dir, "manifest.json")}: `),
        );
        assert.match(error.message, message);
        return true;
      });
    });
  }
});

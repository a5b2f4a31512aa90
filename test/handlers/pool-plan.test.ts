import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { before as beforeAll, describe, it } from "node:test";
import { tmpdir } from "node:os";
import { type Config, loadConfig } from "../../runtime/config/config.ts";
import type { Manifest } from "../../runtime/generation/manifest.ts";
import { findReasons, findUnusedPools, planPools } from "../../runtime/handlers/pool-plan.ts";

const BASE: Manifest = {
  formatVersion: 2,
  id: "one",
  createdAt: "",
  mode: "production",
  sourceDir: join(process.cwd(), "handlers"),
  modules: ["_404.ts", "_middleware.ts", "api.ts", "index.ts", "report.ts"].map((source) => ({
    source,
    compiled: `${source}.js`,
    hash: `hash of ${source}`,
    usesPackages: source === "report.ts",
  })),
  routes: [
    { pattern: "/", handlers: [{ method: null, module: 3 }], ...scope("default") },
    { pattern: "/api", handlers: [{ method: "GET", module: 2 }], ...scope("default") },
    { pattern: "/report", handlers: [{ method: null, module: 4 }], ...scope("reports") },
  ],
  fallbacks: [{ pattern: "/**", module: 0, ...scope("default") }],
  packages: "lock 1",
  inputs: [],
  warnings: [],
};

function withHash(...sources: string[]): Partial<Manifest> {
  const modules = BASE.modules.map((module) =>
    sources.includes(module.source) ? { ...module, hash: "other" } : module,
  );
  return { modules };
}

function scope(pool: string): { pool: string; middleware: number[]; error: null } {
  return { pool, middleware: [1], error: null };
}

describe("planPools(), findReasons()", () => {
  let config: Config;
  beforeAll(async () => {
    const cwd = mkdtempSync(join(tmpdir(), "edgicorn-"));
    mkdirSync(join(cwd, "handlers"));
    config = await loadConfig({ mode: "production", flags: { workers: "3" }, env: {}, cwd });
    rmSync(cwd, { recursive: true });
  });

  /** Why each pool of `before` would be replaced; `null` for a pool that is missing afterwards. */
  function reasons(
    after: Partial<Manifest>,
    afterConfig: Partial<Config> = {},
  ): Record<string, string[] | null> {
    const old = planPools(BASE, config);
    const now = planPools({ ...BASE, ...after }, { ...config, ...afterConfig });
    return Object.fromEntries(
      old.map((plan) => {
        const next = now.find(({ name }) => name === plan.name);
        return [plan.name, next === undefined ? null : findReasons(plan, next)];
      }),
    );
  }

  it("gives the default pool the configured workers, and others one unless they are configured", () => {
    const size = ({ pools = config.pools }: Partial<Config>): unknown =>
      planPools(BASE, { ...config, pools }).map(({ name, workers, concurrency }) => [
        name,
        workers,
        concurrency,
      ]);
    assert.deepEqual(size({}), [
      ["default", 3, 1000],
      ["reports", 1, 1000],
    ]);
    const reports = { workers: 2, concurrency: 4, memoryLimitBytes: null, optional: false };
    const own = { workers: null, concurrency: 9, memoryLimitBytes: null, optional: false };
    assert.deepEqual(size({ pools: { reports, default: own } }), [
      ["default", 3, 9],
      ["reports", 2, 4],
    ]);
    const none = planPools({ ...BASE, routes: [], fallbacks: [] }, config);
    assert.deepEqual(
      none.map(({ name }) => name),
      ["default"],
    );
  });

  it("finds no reason when only numbers and ids have changed", () => {
    const modules = BASE.modules.toReversed();
    const flip = (number: number): number => BASE.modules.length - 1 - number;
    const routes = BASE.routes.map((route) => ({
      ...route,
      handlers: route.handlers.map(({ method, module }) => ({ method, module: flip(module) })),
      middleware: route.middleware.map(flip),
    }));
    const fallbacks = BASE.fallbacks.map((fallback) => ({
      ...fallback,
      module: flip(fallback.module),
      middleware: fallback.middleware.map(flip),
    }));
    assert.deepEqual(reasons({ id: "two", modules, routes, fallbacks }), {
      default: [],
      reports: [],
    });
  });

  it("replaces the pools whose code has changed, and names the files", () => {
    assert.deepEqual(reasons(withHash("report.ts")), {
      default: [],
      reports: ["changed: handlers/report.ts"],
    });
    assert.deepEqual(reasons(withHash("_404.ts", "api.ts")), {
      default: ["changed: handlers/api.ts", "changed: handlers/_404.ts"],
      reports: [],
    });
    // All pools use this file.
    assert.deepEqual(reasons(withHash("_middleware.ts")), {
      default: ["changed: handlers/_middleware.ts"],
      reports: ["changed: handlers/_middleware.ts"],
    });
  });

  it("compares packages for the pools that use some", () => {
    assert.deepEqual(reasons({ packages: "lock 2" }), {
      default: [],
      reports: ["packages changed"],
    });
  });

  it("notices routes that are added, removed or moved to another pool", () => {
    const moved = BASE.routes.map((route) => ({ ...route, pool: "default" }));
    assert.deepEqual(reasons({ routes: moved }), {
      default: ["new: handlers/report.ts", "routes changed", "packages changed"],
      reports: null,
    });
    assert.deepEqual(reasons({ routes: BASE.routes.slice(1) }), {
      default: ["gone: handlers/index.ts", "routes changed"],
      reports: [],
    });
  });

  it("compares settings that workers know, and the pool's own", () => {
    assert.deepEqual(reasons({}, { bodyBufferBytes: 1, requestTimeoutMs: 1, accessLog: false }), {
      default: ["bodyBuffer changed"],
      reports: ["bodyBuffer changed"],
    });
    const reports = { workers: 2, concurrency: null, memoryLimitBytes: null, optional: false };
    assert.deepEqual(reasons({}, { pools: { reports } }), {
      default: [],
      reports: ["number of workers changed"],
    });
  });

  it("compares a configured memory limit, not an automatic one", () => {
    const workerMemoryLimitBytes = config.workerMemoryLimitBytes + 1;
    assert.deepEqual(reasons({}, { workerMemoryLimitBytes }), { default: [], reports: [] });
    const changed = ["memory limit changed"];
    const automatic = config.automatic.filter((name) => name !== "workerMemoryLimitBytes");
    assert.deepEqual(reasons({}, { automatic }), { default: changed, reports: changed });
    const reports = { workers: 1, concurrency: null, memoryLimitBytes: 0, optional: false };
    assert.deepEqual(reasons({}, { pools: { reports } }), { default: [], reports: changed });
  });

  it("replaces all pools in development", () => {
    const mode = "development";
    const [before, after] = ["one", "two"].map((id) =>
      planPools({ ...BASE, id }, { ...config, mode }),
    );
    assert.ok(before?.[0] !== undefined && after?.[0] !== undefined);
    assert.deepEqual(findReasons(before[0], after[0]), ["build changed"]);
  });

  it("names a few modules only", () => {
    const many = { ...BASE, modules: BASE.modules, routes: [] as Manifest["routes"] };
    many.modules = Array.from({ length: 9 }, (_, index) => ({
      source: `${index}.ts`,
      compiled: "",
      hash: "a",
      usesPackages: false,
    }));
    many.routes = many.modules.map((_, module) => ({
      pattern: `/${module}`,
      handlers: [{ method: null, module }],
      middleware: [],
      error: null,
      pool: "default",
    }));
    many.fallbacks = [];
    const other = { ...many, modules: many.modules.map((module) => ({ ...module, hash: "b" })) };
    const [before] = planPools(many, config);
    const [after] = planPools(other, config);
    assert.ok(before !== undefined && after !== undefined);
    assert.deepEqual(findReasons(before, after).slice(4), [
      "changed: handlers/4.ts",
      "changed: 4 more",
    ]);
  });

  it("finds configured pools without handlers", () => {
    const pool = { workers: 1, concurrency: null, memoryLimitBytes: null, optional: false };
    const pools = { default: pool, reports: pool, typo: pool };
    const configured = { ...config, pools };
    assert.deepEqual(findUnusedPools(planPools(BASE, configured), configured), ["typo"]);
  });
});

import { toHostName } from "../../../config/host-name.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import { type Item, Table } from "./item.ts";
import { reportUnknown } from "./report-unknown.ts";

/** Keys about hosts, ports, limits and the build. */
export const SERVER_CARRIERS: Readonly<Record<string, CarryKey>> = {
  route: (item, carrying) => carryRoutes([item], carrying),
  routes: (item, carrying) => carryRoutes(item.list(), carrying),
  limits: carryLimits,
  dev: carryDev,
  build: carryBuild,
  rules: carryRules,
};

/** Adds the hosts of routes to the names of the default site. */
function carryRoutes(routes: readonly Item[], { config, report }: Carrying): void {
  const hosts = new Set<string>();
  for (const route of routes) {
    const isText = typeof route.content === "string";
    const pattern = (isText ? route : new Table(route).need("pattern")).text();
    const line = { ...route.where, text: `${route.path} ${pattern}` };
    const { host, path } = splitPattern(pattern);
    if (!/^(?:|\/|\/?\*)$/.test(path)) {
      report.changed(line, "the module answers at all paths: add a rule with proxy for the others");
    }
    if (host === "*" || host === "") continue;
    const isOpen = host.startsWith("*");
    const base = host.replace(/^\*\.?/, "");
    const names = [...(host.startsWith("*.") ? [] : [base]), ...(isOpen ? [`*.${base}`] : [])];
    if (!names.every((name) => toHostName(name) !== null)) {
      report.lost(line, "an alias is a host name, or one that begins with *.");
      continue;
    }
    if (isOpen) report.changed(line, `*.${base} is exactly one label more here`);
    for (const name of names) hosts.add(name);
  }
  if (hosts.size > 0)
    config
      .child("sites")
      .child("default")
      .set("aliases", [...hosts]);
}

function splitPattern(pattern: string): { host: string; path: string } {
  const bare = pattern.replace(/^(?:\*|https?):\/\//, "");
  const slash = bare.indexOf("/");
  if (slash >= 0) return { host: bare.slice(0, slash), path: bare.slice(slash) };
  // `example.com*` takes all paths.
  return bare.length > 1 && bare.endsWith("*")
    ? { host: bare.slice(0, -1), path: "*" }
    : { host: bare, path: "" };
}

function carryLimits(item: Item, carrying: Carrying): void {
  const { report } = carrying;
  const limits = new Table(item);
  const cpu = limits.get("cpu_ms");
  if (cpu !== null) {
    cpu.count(1, 3_600_000);
    report.changed(
      cpu.where,
      "CPU time has no limit of its own: requestTimeout limits the time to an answer, and a worker that blocks is replaced",
    );
  }
  const calls = limits.get("subrequests");
  if (calls !== null) report.unused(calls.where, "calls of fetch() have no limit");
  reportUnknown(limits, ["cpu_ms", "subrequests"], carrying);
}

const DEV_KEYS = [
  "ip",
  "inspector_port",
  "upstream_protocol",
  "host",
  "enable_containers",
  "container_engine",
  "generate_types",
];

function carryDev(item: Item, carrying: Carrying): void {
  const { config, report } = carrying;
  const dev = new Table(item);
  const port = dev.get("port")?.count(0, 65_535);
  const isTls = dev.get("local_protocol")?.word(["http", "https"]) === "https";
  if (port !== undefined) config.set(isTls ? "https" : "http", port);
  for (const key of DEV_KEYS) {
    const found = dev.get(key);
    if (found !== null) report.unused(found.where, "about wrangler dev: see edgicorn help dev");
  }
  reportUnknown(dev, ["port", "local_protocol", ...DEV_KEYS], carrying);
}

function carryBuild(item: Item, carrying: Carrying): void {
  const { report } = carrying;
  const build = new Table(item);
  const command = build.get("command");
  if (command !== null) {
    const folder = build.get("cwd")?.text();
    const within = folder === undefined ? "" : ` in ${folder}`;
    report.todo(command.where, `run it before each start and reload${within}: ${command.text()}`);
  }
  const watched = build.get("watch_dir");
  if (watched !== null) {
    report.unused(watched.where, "edgicorn dev watches the files that handlers import");
  }
  reportUnknown(build, ["command", "cwd", "watch_dir"], carrying);
}

/** Extensions of each type of a module that the build knows. */
const IMPORTED: Readonly<Record<string, readonly string[]>> = {
  Text: ["txt", "html", "css", "md", "sql", "svg", "graphql"],
  Data: ["bin"],
  CompiledWasm: ["wasm"],
  ESModule: ["js", "mjs", "ts", "mts"],
  CommonJS: ["js", "cjs", "cts"],
};

const TYPES = [...Object.keys(IMPORTED), "PythonModule", "PythonRequirement"];

function carryRules(item: Item, { report }: Carrying): void {
  for (const rule of item.tables()) {
    const type = rule.need("type").word(TYPES);
    const known = IMPORTED[type] ?? [];
    for (const glob of rule.need("globs").list()) {
      const pattern = glob.text();
      const extension = /\.(\w+)(?:\?\w+)?$/.exec(pattern)?.[1];
      if (extension !== undefined && known.includes(extension)) continue;
      const line = { ...glob.where, text: `${glob.path} ${pattern}` };
      const expected = known.map((each) => `.${each}`).join(", ");
      report.lost(
        line,
        known.length === 0
          ? "modules of Python are not imported: see docs/python.md"
          : `an import of the type ${type} has a name that ends with ${expected}: rename the files`,
      );
    }
  }
}

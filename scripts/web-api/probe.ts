// Tests the globals of a worker on the Node that runs it, and prints the findings as JSON: see read-results.ts.
import { GlobalEvents } from "../../runtime/platform/global-events.ts";
import { installGlobals } from "../../runtime/platform/install-globals.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
import { COMMON, type Requirement, WORKERS } from "./requirements.ts";
import type { Finding } from "./read-results.ts";

/** The smallest module. */
const WASM = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);

const all = [...COMMON, ...WORKERS];
const before = new Set(all.filter(({ name }) => find(name) !== undefined).map(({ name }) => name));
const events = new GlobalEvents({ onReport: (error) => console.error("reported", error) });
installWebObjects();
installGlobals(events, console.error);
// As the worker does.
process.on("unhandledRejection", (reason, promise) => events.onRejection(reason, promise));
Object.assign(globalThis, { WASM, rejected, handled });

const findings: Finding[] = [];
for (const requirement of all) {
  // oxlint-disable-next-line no-await-in-loop -- Some of them replace global handlers for a moment.
  findings.push(await examine(requirement));
}
console.log(JSON.stringify(findings));
// Ports and timers of the probes.
process.exit(0);

async function examine({ name, members, works }: Requirement): Promise<Finding> {
  const value = find(name);
  const isThere = value !== undefined;
  const missing = isThere ? members.filter((member) => !hasMember(value, member)) : [];
  let problem: string | null = null;
  if (isThere) {
    try {
      // The expressions are those of requirements.ts.
      // oxlint-disable-next-line no-eval -- A test in the words of a handler.
      const result: unknown = await (0, eval)(works);
      if (result !== true) problem = `gives ${String(result)}`;
    } catch (error) {
      problem = String(error);
    }
  }
  const state = isThere ? (before.has(name) ? "native" : "added") : "missing";
  return { name, state, missing, problem };
}

/** Returns the value of a path; `undefined`: there is none. `null`, the value of a handler, counts as one. */
function find(path: string): unknown {
  let at: unknown = globalThis;
  for (const name of path.split(".")) {
    if ((typeof at !== "object" && typeof at !== "function") || at === null) return undefined;
    at = Reflect.get(at, name) as unknown;
  }
  return at;
}

function hasMember(value: unknown, member: string): boolean {
  if (member.startsWith(".")) return member.slice(1) in Object(value);
  const prototype: unknown = typeof value === "function" ? value.prototype : value;
  return typeof prototype === "object" && prototype !== null && member in prototype;
}

/** Resolves with the result of a test of the event of a rejection without a handler. */
function rejected(test: (event: { reason: unknown }) => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    Object.assign(globalThis, {
      onunhandledrejection: (event: { reason: unknown }) => resolve(test(event)),
    });
    void Promise.reject("lost");
  });
}

/** The same for a rejection that gets its handler late. */
function handled(test: (event: { reason: unknown }) => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const late = Promise.reject("late");
    Object.assign(globalThis, {
      onunhandledrejection: () => setImmediate(() => void late.catch(() => {})),
      onrejectionhandled: (event: { reason: unknown }) => resolve(test(event)),
    });
  });
}

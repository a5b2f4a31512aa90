import { describeLibrary } from "../lib/describe-library.ts";
import { constants } from "node:os";
import { resolve } from "node:path";
import { type Config, loadConfig } from "../config/config.ts";
import { showPath } from "../config/config-file.ts";
import { describeEnvFileProblems, describeEnvFiles } from "../config/env-files.ts";
import { SETTINGS } from "../config/settings.ts";
import { describeUnknownVariables } from "../config/unknown-variables.ts";
import { restartsSchema } from "../control/answers.ts";
import { askControl } from "../control/control-client.ts";
import type { RestartNeed } from "../control/operations.ts";
import { findPortOwner, mayListen } from "../engine/port-owner.ts";
import { cannotListen, describeTaken, LACKS_PRIVILEGE } from "../engine/probe-port.ts";
import { listSiteCertificates } from "../config/sites.ts";
import { findMisspeltQueues } from "../queues/find-misspelt-queues.ts";
import { warnOfUncovered } from "../server/load-certificates.ts";
import { inspectCertificates } from "../tls/tls.ts";
import { AcmeFolder } from "../acme/acme-folder.ts";
import { EXIT, RuntimeError } from "../lib/errors.ts";
import { describeFailure } from "../server/bugs.ts";
import { checkWranglerFile } from "./check-wrangler.ts";
import { describeSites } from "./describe-sites.ts";
import { findRunning } from "./find-server.ts";
import type { StartOptions } from "../server/start.ts";
import { withPrimary } from "./with-primary.ts";
import { describeUnignoredFiles } from "../server/unignored-files.ts";

/** Checks, prints the result and the problems, and sets the exit code. A signal ends it after it has tidied up. */
export async function runCheck(options: StartOptions): Promise<void> {
  const ending = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const) {
    process.once(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      ending.abort(new RuntimeError("ERR_DRAINING", `Cannot check: ended by ${signal}`));
    });
  }
  let checked: Checked;
  try {
    checked = await check(options, { signal: ending.signal });
  } catch (error) {
    if (ending.signal.aborted) return;
    throw error;
  }
  if (ending.signal.aborted) return;
  const { ok, remarks, problems, exitCode } = checked;
  if (ok !== null) process.stdout.write(`${ok}\n`);
  process.stderr.write([...remarks, ...problems].map((line) => `${line}\n`).join(""));
  process.exitCode = exitCode;
}

/** The result of a check: lines for the operator, and the exit code. */
export interface Checked {
  /** A description of the server that a start would run, for standard output; `null`: a start would fail. */
  ok: string | null;
  /** Warnings, for standard error. */
  remarks: string[];
  /** Problems, for standard error. */
  problems: string[];
  exitCode: number;
}

/**
 * Does everything that a start does, except opening ports: reads the settings, the certificates and the folder of files,
 * builds the handlers and loads them in a worker.
 *
 * It does not disturb a server that runs here: the build has a folder of its own, which the check removes. It asks that
 * server whether a reload would be enough.
 *
 * @param options.signal When it aborts, the check is given up, and leaves no file behind.
 * @throws ERR_CONFIG with all problems of the settings: without settings nothing else can be checked.
 */
export async function check(
  { mode, flags }: StartOptions,
  { signal }: { signal: AbortSignal },
): Promise<Checked> {
  const cwd = process.cwd();
  const config = await loadConfig({ mode, flags, env: process.env, cwd, signal });
  const found: string[] = [];
  const remarks = [
    ...describeEnvFileProblems(config.envFiles, cwd),
    ...describeUnknownVariables({ ...config.variables, ...process.env }),
  ].map((line) => `warning: ${line}`);
  const problems: string[] = [];
  let exitCode: number = EXIT.drained;
  for (const part of [checkHandlers, checkCertificates, checkPorts]) {
    try {
      const { summary, warnings } = await part(config, signal);
      if (summary !== "") found.push(summary);
      remarks.push(...warnings.map((warning) => `warning: ${warning}`));
    } catch (error) {
      const failure = describeFailure(error);
      problems.push(failure.text);
      if (exitCode === EXIT.drained) exitCode = failure.exitCode;
    }
  }
  const sites = describeSites(config);
  if (sites !== null) found.push(sites);
  const { configFile } = config;
  const files = describeEnvFiles(config, cwd);
  if (files !== null) found.push(files);
  found.push(configFile === null ? "no config file" : `config ${showPath(configFile, cwd)}`);
  const unignored = await describeUnignoredFiles(config);
  remarks.push(...unignored.map((line) => `warning: ${line}`));
  const lost = await checkWranglerFile(config, { cwd, env: process.env });
  remarks.push(...lost.map((line) => `warning: ${line}`));
  remarks.push(...(await askRunningServer(config, cwd)));
  const ok = problems.length > 0 ? null : `ok: ${found.join(", ")}`;
  return { ok, remarks, problems, exitCode };
}

/** Longest wait for the server, which reads its config file. */
const ASK_TIMEOUT_MS = 30_000;

/**
 * Asks the server that runs with these settings, or else with the default state folder, which changed settings need a
 * restart. A comparison here could be wrong: that server may have other flags and another environment.
 *
 * @returns No line when no server runs, or the server has no answer.
 */
async function askRunningServer({ stateDir }: Config, cwd: string): Promise<string[]> {
  for (const dir of new Set([stateDir, resolve(cwd, SETTINGS.stateDir.default)])) {
    const ask = { method: "GET", path: "/restarts", timeoutMs: ASK_TIMEOUT_MS } as const;
    const answer = await askControl(dir, ask);
    if (answer.kind === "unreachable") continue;
    if (answer.kind === "refused") {
      // A server of an earlier version has no answer, which is no problem of these settings.
      if (answer.code !== "ERR_CONFIG") return [];
      return [`note: the server that runs would refuse a reload: ${answer.message}`];
    }
    const needs = restartsSchema.safeParse(answer.value);
    return needs.success && needs.data.length > 0 ? [describeRestarts(needs.data)] : [];
  }
  return [];
}

function describeRestarts(needs: readonly RestartNeed[]): string {
  const shown = needs.map(
    ({ name, before, after }) =>
      `${name} (${JSON.stringify(before)}, now ${JSON.stringify(after)})`,
  );
  return `note: the server that runs needs a restart for ${shown.join(", ")}; it would refuse a reload`;
}

interface Part {
  summary: string;
  warnings: string[];
}

async function checkCertificates(config: Config): Promise<Part> {
  const { httpsPort, certsDir, acme } = config;
  if (httpsPort === null) return { summary: "HTTPS off", warnings: [] };
  if (acme !== null) await new AcmeFolder(certsDir).checkModes();
  const ofSites = listSiteCertificates(config);
  const { certificates, warnings } = await inspectCertificates(certsDir, { ofSites });
  warnings.push(...warnOfUncovered(config, certificates));
  const { length } = certificates;
  const summary =
    length === 0
      ? `no certificate (one for localhost will be made in ${showPath(certsDir, process.cwd())})`
      : `${countOf(length, "certificate")}, the first to expire on ${firstEnd(certificates)}`;
  return { summary, warnings };
}

function firstEnd(certificates: readonly { notAfterMs: number }[]): string {
  const endMs = Math.min(...certificates.map(({ notAfterMs }) => notAfterMs));
  return new Date(endMs).toISOString().slice(0, 10);
}

/**
 * Checks whether the ports are free, without opening them. The server of this project may have them: a reload needs no
 * port.
 *
 * @throws ERR_LISTEN that names each port that a start would not get.
 */
async function checkPorts({ httpPort, httpsPort, host, stateDir }: Config): Promise<Part> {
  const problems: string[] = [];
  const own: number[] = [];
  const cwd = process.cwd();
  // The same server as in `askRunningServer`.
  const server =
    (await findRunning(stateDir, cwd)) ??
    (await findRunning(resolve(cwd, SETTINGS.stateDir.default), cwd));
  for (const [scheme, port] of [
    ["http", httpPort],
    ["https", httpsPort],
  ] as const) {
    if (port === null || port === 0) continue;
    if (server?.addresses.some((address) => new URL(address).port === String(port)) === true) {
      own.push(port);
      continue;
    }
    const owner = findPortOwner(port);
    const reason = owner !== null ? describeTaken(owner) : mayListen(port) ? null : LACKS_PRIVILEGE;
    if (reason !== null) problems.push(cannotListen({ scheme, host, port }, reason).message);
  }
  if (server === null && problems.length > 0) {
    throw new RuntimeError("ERR_LISTEN", problems.join("\n"));
  }
  const ports = own.length === 1 ? `port ${own[0]}` : `ports ${own.join(" and ")}`;
  const summary =
    server === null || own.length === 0
      ? ""
      : `${ports} in use by the running server ${server.pid}`;
  // The running server has other ports than these flags name: only a restart would need these.
  return { summary, warnings: problems };
}

async function checkHandlers(config: Config, signal: AbortSignal): Promise<Part> {
  const logLevel = config.logLevel === "silent" ? "silent" : "warn";
  // It gets no requests, and no handler runs.
  return withPrimary(config, { name: "check", logLevel, signal }, ({ library, generation }) => {
    const { manifest, pools } = generation;
    const routes = countOf(manifest.routes.length, "route");
    const summary = `${routes} in ${countOf(pools.size, "pool")}, ${describeLibrary(library)}`;
    const { queues, bindings, stores } = config;
    const receivers = generation.listQueues();
    return { summary, warnings: queues ? findMisspeltQueues({ receivers, bindings, stores }) : [] };
  });
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

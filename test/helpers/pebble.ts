import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { killChildAtEnd } from "./guardian.ts";
import { type Owner, temporaryFolder } from "./temporary-folder.ts";
import { findFreePort } from "./upstreams.ts";

/** Returns the reason to skip a test on a machine without Pebble; `false`: it runs. */
export function skipWithoutPebble(): string | false {
  const found = ["pebble", "pebble-challtestsrv"].every(
    (program) => spawnSync("which", [program]).status === 0,
  );
  return found ? false : "needs Debian's package pebble";
}

/** A name that the authority refuses. */
export const BLOCKED_NAME = "blocked-domain.example";

/** A certificate authority for tests, in processes of its own. */
export interface Pebble {
  directory: string;
  /** Certificate to trust for its own TLS: `NODE_EXTRA_CA_CERTS`. */
  caPath: string;
  /** Number of orders that it has got. */
  orders: () => number;
  /** All that it wrote. */
  log: () => string;
  /** Sends a signal to it. */
  kill: (signal: NodeJS.Signals) => void;
}

/**
 * Starts Pebble with a resolver for which every name is this machine.
 *
 * @param options.httpPort Port at which it looks for tokens.
 */
export async function startPebble(
  t: Owner,
  options: { httpPort: number; validitySeconds?: number },
): Promise<Pebble> {
  const dir = temporaryFolder(t);
  makeCertificate({ base: join(dir, "ca"), altNames: "DNS:localhost,IP:127.0.0.1" });
  const [api, management, dns, other] = await Promise.all([1, 2, 3, 4].map(() => findFreePort()));
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${api}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: join(dir, "ca.crt"),
      privateKey: join(dir, "ca.key"),
      httpPort: options.httpPort,
      tlsPort: 1,
      certificateValidityPeriod: options.validitySeconds ?? 90 * 24 * 3600,
      domainBlocklist: [BLOCKED_NAME],
    },
  };
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  const resolver = run(t, "pebble-challtestsrv", [
    "-management",
    `127.0.0.1:${other}`,
    "-dns01",
    `127.0.0.1:${dns}`,
    "-http01=",
    "-https01=",
    "-tlsalpn01=",
    "-defaultIPv4",
    "127.0.0.1",
    "-defaultIPv6=",
  ]);
  await resolver.until("Starting management server");
  const authority = run(
    t,
    "pebble",
    ["-config", join(dir, "config.json"), "-dnsserver", `127.0.0.1:${dns}`],
    // It checks at once, and refuses some nonces, as authorities may.
    { PEBBLE_VA_NOSLEEP: "1", PEBBLE_WFE_NONCEREJECT: "20" },
  );
  await authority.until("Listening on");
  return {
    directory: `https://127.0.0.1:${api}/dir`,
    caPath: join(dir, "ca.crt"),
    orders: () => authority.log().split(" orders in the db").length - 1,
    log: authority.log,
    kill: authority.kill,
  };
}

function run(
  t: Owner,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): {
  log: () => string;
  kill: (signal: NodeJS.Signals) => void;
  until: (text: string) => Promise<void>;
} {
  const child: ChildProcess = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  killChildAtEnd(child);
  let log = "";
  let isEnded = false;
  const grown = new EventEmitter();
  const ended = once(child, "close");
  child.once("close", () => {
    isEnded = true;
    grown.emit("data");
  });
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      grown.emit("data");
    });
  }
  return {
    log: () => log,
    kill: (signal) => void child.kill(signal),
    async until(text) {
      while (!log.includes(text)) {
        if (isEnded) throw new Error(`${program} ended: ${log}`);
        await once(grown, "data");
      }
    },
  };
}

import { lookup } from "node:dns/promises";
import { connect, createServer } from "node:net";
import { RuntimeError } from "../lib/errors.ts";
import { describePortOwner, findPortOwner, type PortOwner } from "./port-owner.ts";

/** Address and port of a listener. */
export interface Place {
  readonly scheme: "http" | "https";
  /** `null`: all addresses, IPv6 and IPv4. */
  readonly host: string | null;
  /** 0: any free port. */
  readonly port: number;
}

/** A port on which hardly any machine listens: tcpmux (RFC 1078). */
const UNUSED_PORT = 1;

/** Timeout of the connection to `UNUSED_PORT`, for machines whose firewall drops it without an answer. */
const PROBE_MS = 1_000;

/**
 * Checks that the port is free and returns it. For port 0, returns a port that is free now: the library would choose
 * one that it does not share (uSockets, `bsd_create_listen_socket`).
 *
 * A given port is only bound, without listening on it. A probe that listens, even for a moment, would accept clients
 * that it cannot serve, and reset them.
 *
 * @throws RuntimeError `ERR_LISTEN` with the reason why the port cannot be used.
 */
export async function probePort(place: Place): Promise<number> {
  const { host, port } = place;
  try {
    if (port === 0) return await findFreePort(host);
    await bindOnce(host, port);
    return port;
  } catch (error) {
    throw cannotListen(place, explainListenError(error, port), error);
  }
}

async function bindOnce(host: string | null, port: number): Promise<void> {
  if (host !== null) {
    await tryBind((await lookup(host)).address, port);
    return;
  }
  try {
    await tryBind("::", port);
  } catch (error) {
    // Falls back to IPv4, like Node and the library on a machine without IPv6.
    if (codeOf(error) !== "EAFNOSUPPORT" && codeOf(error) !== "EADDRNOTAVAIL") throw error;
    await tryBind("0.0.0.0", port);
  }
}

/**
 * Binds the port. Node binds a client socket only when it connects, so this connects to `UNUSED_PORT` of this machine,
 * which refuses.
 */
function tryBind(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const target = { "::": "::1", "0.0.0.0": "127.0.0.1" }[address] ?? address;
    const socket = connect({
      host: target,
      port: UNUSED_PORT,
      localAddress: address,
      localPort: port,
    });
    const isFree = (): void => {
      socket.destroy();
      resolve();
    };
    socket.once("connect", isFree);
    socket.setTimeout(PROBE_MS, isFree);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.syscall === "bind") reject(error);
      else isFree();
    });
  });
}

async function findFreePort(host: string | null): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once("error", reject);
    // `exclusive` keeps node:cluster from sharing the socket.
    probe.listen({ port: 0, exclusive: true, ...(host === null ? {} : { host }) }, resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

export function cannotListen(
  { scheme, host, port }: Place,
  reason: string,
  cause?: unknown,
): RuntimeError {
  return new RuntimeError(
    "ERR_LISTEN",
    `Cannot listen for ${scheme} on ${host ?? "*"}:${port}: ${reason}, expected a free port (--${scheme} PORT, or off)`,
    { cause },
  );
}

/** Reason why a port below 1024 is refused. */
export const LACKS_PRIVILEGE =
  "ports below 1024 need a privilege (run as root, or setcap cap_net_bind_service=+ep on node)";

/** Returns the reason why a port that is in use is refused; `null`: its owner is unknown. */
export function describeTaken(owner: PortOwner | null): string {
  const holder = owner === null ? "another program" : describePortOwner(owner);
  return `the port is in use by ${holder}`;
}

/** Returns the reason why a port cannot be opened, with the process that uses it. */
export function explainListenError(error: unknown, port: number): string {
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return describeTaken(findPortOwner(port));
    case "EACCES":
      return LACKS_PRIVILEGE;
    case "EADDRNOTAVAIL":
      return "the address does not belong to this machine";
    case "ENOTFOUND":
      return "the host name is unknown";
    default:
      return error instanceof Error ? error.message : String(error);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

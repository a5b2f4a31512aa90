import { createServer } from "node:net";
import { RuntimeError } from "../errors.ts";
import { describePortOwner, findPortOwner, type PortOwner } from "./port-owner.ts";

/** Where a listener is to be. */
export interface Place {
  readonly scheme: "http" | "https";
  /** `null`: all addresses, IPv6 and IPv4. */
  readonly host: string | null;
  /** 0: any free port. */
  readonly port: number;
}

/**
 * Finds out whether the port is free. Returns it, or for "any free port" one that is free now: the library would choose
 * a port that it does not share (uSockets, `bsd_create_listen_socket`).
 *
 * @throws RuntimeError `ERR_LISTEN` with the reason why the port cannot be used.
 */
export async function probePort(place: Place): Promise<number> {
  const { host, port } = place;
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once("error", reject);
      // `exclusive`: a cluster primary has no one to share it with.
      probe.listen({ port, exclusive: true, ...(host === null ? {} : { host }) }, resolve);
    });
  } catch (error) {
    throw cannotListen(place, explainListenError(error, port), error);
  }
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : port;
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

/** Reason for which a port below 1024 is refused. */
export const LACKS_PRIVILEGE =
  "ports below 1024 need a privilege (run as root, or setcap cap_net_bind_service=+ep on node)";

/** Reason for which a port is refused that has an owner; `null`: it is not known. */
export function describeTaken(owner: PortOwner | null): string {
  const holder = owner === null ? "another program" : describePortOwner(owner);
  return `the port is in use by ${holder}`;
}

/** Says why a port cannot be opened, and by which process it is taken. */
export function explainListenError(error: unknown, port: number): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  switch (code) {
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

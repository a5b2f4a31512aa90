import { RuntimeError } from "../lib/errors.ts";
import { PROTOCOL_VERSION } from "./messages.ts";

/** @throws RuntimeError `ERR_PROTOCOL` when the other side speaks another version. */
export function checkVersion(version: unknown): number {
  if (version === PROTOCOL_VERSION) return version;
  throw new RuntimeError(
    "ERR_PROTOCOL",
    `Cannot talk over the channel: the other side speaks protocol version ${String(version)}, expected ${PROTOCOL_VERSION}`,
  );
}

import { SETTINGS } from "../../runtime/config/settings.ts";
import { loadUws } from "../../runtime/engine/uws/uws.ts";
import type { UwsChoice } from "../../runtime/engine/uws/uws-packages.ts";

/** The package whose uWebSockets.js servers are tested with: `TEST_UWS`, which `npm run test:node` sets, or any. */
export function testedLibrary(): UwsChoice {
  const parsed = SETTINGS.uws.type.parse(process.env["TEST_UWS"] ?? "auto");
  if (parsed === null) throw new TypeError("TEST_UWS names no package of uWebSockets.js");
  return parsed.value;
}

let loading: Promise<string> | null = null;

/** The package whose uWebSockets.js a server loads on this machine, with this Node: `uws-pack 20.0.8`. */
export function loadedLibrary(): Promise<string> {
  loading ??= loadUws({ headerLimitBytes: 16_384, choice: testedLibrary() }).then(
    ({ label }) => label,
  );
  return loading;
}

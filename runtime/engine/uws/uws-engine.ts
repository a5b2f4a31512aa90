import type { Config } from "../../config/config.ts";
import { HEADER_SLACK_BYTES } from "../../http/head-limits.ts";
import type { Engine } from "../engine.ts";
import { UwsListener } from "./listener.ts";
import { loadUws } from "./uws.ts";

/**
 * Loads uWebSockets.js.
 *
 * @param warn Gets a line for each package of the operator that could not be used.
 * @throws RuntimeError `ERR_LISTEN` when no installed package has a binary for this machine.
 */
export async function loadUwsEngine(
  { headerLimitBytes, uws: choice }: Config,
  warn: (message: string) => void,
): Promise<Engine> {
  const limits = { headerLimitBytes: headerLimitBytes + HEADER_SLACK_BYTES };
  const { uws, label, isUsual, failed } = await loadUws({ ...limits, choice });
  for (const { label: other, reason, isOwn } of failed) {
    // On an older system a newer package of Edgicorn's own is expected to fail.
    if (isOwn) warn(`cannot use the package ${other}, which ${reason}: using ${label}`);
  }
  const library = { uws, savedMasks: new Set<boolean>() };
  return { kind: "uws", label, isUsual, open: (options) => UwsListener.open(library, options) };
}

import type { Config } from "../config/config.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Engine } from "./engine.ts";

/**
 * Loads the engine that the settings ask for. Only the module of this engine is loaded.
 *
 * @param warn Gets a line for each package of the operator that could not be used.
 * @throws RuntimeError `ERR_LISTEN` when uWebSockets.js is asked for, and no installed package has a binary for this
 *   machine.
 */
export async function loadEngine(config: Config, warn: (message: string) => void): Promise<Engine> {
  if (config.engine === "node") return loadNode();
  try {
    const { loadUwsEngine } = await import("./uws/uws-engine.ts");
    return await loadUwsEngine(config, warn);
  } catch (error) {
    // A package that the operator chose must not be replaced in silence.
    const mayReplace = config.engine === "auto" && config.uws === "auto";
    if (!mayReplace || !(error instanceof RuntimeError)) throw error;
    return { ...(await loadNode()), instead: error.message };
  }
}

async function loadNode(): Promise<Engine> {
  const { createNodeEngine } = await import("./node/node-engine.ts");
  return createNodeEngine();
}

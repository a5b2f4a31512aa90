import type { Config } from "../config/config.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Engine } from "./engine.ts";

/**
 * Loads the engine that the settings ask for. Only the module of this engine is loaded.
 *
 * @param warn Gets the reason why uWebSockets.js is not used, or a package of the operator.
 * @throws RuntimeError `ERR_LISTEN` when uWebSockets.js is asked for, and no installed package has a binary for this
 *   machine.
 */
export async function loadEngine(config: Config, warn: (message: string) => void): Promise<Engine> {
  if (config.engine === "node") return loadNode();
  try {
    const { loadUwsEngine } = await import("./uws/uws-engine.ts");
    const uws = await loadUwsEngine(config, warn);
    return config.http2 || config.h2c ? withHttp2(uws, await loadNode()) : uws;
  } catch (error) {
    // A package that the operator chose must not be replaced in silence.
    const mayReplace = config.engine === "auto" && config.uws === "auto";
    if (!mayReplace || !(error instanceof RuntimeError)) throw error;
    warn(`the Node engine serves instead of uWebSockets.js. ${error.message}`);
    return { ...(await loadNode()), isInstead: true };
  }
}

/** Returns an engine that opens the ports with HTTP/2 on Node's own sockets, and all others with uWebSockets.js. */
function withHttp2(uws: Engine, node: Engine): Engine {
  return {
    ...uws,
    label: `${uws.label}, ${node.label} for HTTP/2`,
    open: (options) => ((options.http2 ?? null) === null ? uws : node).open(options),
  };
}

async function loadNode(): Promise<Engine> {
  const { createNodeEngine } = await import("./node/node-engine.ts");
  return createNodeEngine();
}

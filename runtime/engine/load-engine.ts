import type { Config } from "../config/config.ts";
import { engineOf, type EngineName } from "../config/engine-setting.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Engine, Listener } from "./engine.ts";

/** The settings that decide about engines. */
type EngineSettings = Pick<Config, "engine" | "http2" | "h2c" | "httpPort" | "httpsPort">;

const SCHEMES: readonly Listener["scheme"][] = ["http", "https"];

/**
 * Loads the engine that the settings ask for. Only the modules of engines with a port are loaded.
 *
 * @param warn Gets the reason why uWebSockets.js is not used, or a package of the operator.
 * @throws RuntimeError `ERR_LISTEN` when uWebSockets.js is asked for, and no installed package has a binary for this
 *   machine.
 */
export async function loadEngine(config: Config, warn: (message: string) => void): Promise<Engine> {
  const ports = pickEngines(config);
  const ofNode = SCHEMES.filter((scheme) => ports[scheme] === "node");
  if (!hasOther(ports)) return loadNode();
  try {
    const { loadUwsEngine } = await import("./uws/uws-engine.ts");
    const uws = await loadUwsEngine(config, warn);
    return ofNode.length === 0 ? uws : combine(uws, { node: await loadNode(), ofNode });
  } catch (error) {
    // A package that the operator chose must not be replaced in silence.
    const mayReplace = config.uws === "auto" && ports.http !== "uws" && ports.https !== "uws";
    if (!mayReplace || !(error instanceof RuntimeError)) throw error;
    warn(`the Node engine serves instead of uWebSockets.js. ${error.message}`);
    return { ...(await loadNode()), isInstead: true };
  }
}

/**
 * Returns the engine of each port; `null`: the port is off. If both are off, as for `edgicorn check`, both count. Only the
 * Node engine has HTTP/2.
 */
export function pickEngines(
  config: EngineSettings,
): Readonly<Record<Listener["scheme"], EngineName | null>> {
  const { engine, http2, h2c, httpPort, httpsPort } = config;
  const hasNoPort = httpPort === null && httpsPort === null;
  const pick = (scheme: Listener["scheme"], hasHttp2: boolean): EngineName =>
    hasHttp2 ? "node" : engineOf(engine, scheme);
  return {
    http: httpPort !== null || hasNoPort ? pick("http", h2c) : null,
    https: httpsPort !== null || hasNoPort ? pick("https", http2) : null,
  };
}

function hasOther(ports: ReturnType<typeof pickEngines>): boolean {
  return SCHEMES.some((scheme) => ports[scheme] !== null && ports[scheme] !== "node");
}

/** Returns an engine that opens the ports of these schemes on Node's own sockets, and all others with uWebSockets.js. */
function combine(
  uws: Engine,
  { node, ofNode }: { node: Engine; ofNode: readonly Listener["scheme"][] },
): Engine {
  const names = ofNode.map((scheme) => scheme.toUpperCase()).join(" and ");
  return {
    ...uws,
    kind: "both",
    label: `${uws.label}, ${node.label} for ${names}`,
    open: (options) => {
      const scheme = options.certificates === null ? "http" : "https";
      return (ofNode.includes(scheme) ? node : uws).open(options);
    },
  };
}

async function loadNode(): Promise<Engine> {
  const { createNodeEngine } = await import("./node/node-engine.ts");
  return createNodeEngine();
}

import type { Engine } from "../engine.ts";
import { NodeListener } from "./node-listener.ts";

/** Returns the engine on Node's own sockets, which works on every system. */
export function createNodeEngine(): Engine {
  return {
    kind: "node",
    label: `Node ${process.versions.node}`,
    isUsual: true,
    open: (options) => NodeListener.open(options),
  };
}

/**
 * Returns an engine's label in words: `uWebSockets.js from uws-pack 20.0.8`, or `Node 22.12.0` for the engine on Node's own
 * sockets.
 */
export function describeLibrary(label: string): string {
  return label.startsWith("Node ") ? `engine ${label}` : `uWebSockets.js from ${label}`;
}

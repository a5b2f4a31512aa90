/** Globals of other platforms, and their replacements here. */
const MISSING: Readonly<Record<string, string>> = {
  EdgeRuntime: "handlers run in Node, not in an edge runtime",
  Deno: "handlers run in Node, not in Deno: use the modules of Node",
  Bun: "handlers run in Node, not in Bun: use the modules of Node",
  HTMLElement:
    "handlers run in Node, which has no DOM: render on the client, or use a package such as happy-dom",
  DOMParser: "handlers run in Node, which has no DOM: use a parser from npm, such as linkedom",
  document: "handlers run in Node, which has no DOM: this code is for a browser",
  window: "handlers run in Node, which has no window: this code is for a browser",
  localStorage: "handlers run in Node, which has no storage of a browser: use a database",
  EventSource: "EventSource is not available in Node: use the package eventsource",
  XMLHttpRequest: "XMLHttpRequest is not available in Node: use fetch()",
};

/** Returns advice for a name that is not defined; `null` for any other error, and for a name that no platform is known for. */
export function explainMissing(error: unknown): string | null {
  if (!(error instanceof ReferenceError)) return null;
  const name = /^(\w+) is not defined$/.exec(error.message)?.[1];
  return name !== undefined && Object.hasOwn(MISSING, name) ? (MISSING[name] ?? null) : null;
}

import { after } from "node:test";
import { startServer, type StartOptions, type TestServer } from "./start-server.ts";
import { SuiteOwner } from "./suite-owner.ts";

/**
 * Returns a function whose first call starts a server, and whose later calls return the same one: for tests of a file
 * that change nothing of their server. Call it at the top level of the file. The server stops after the last test.
 */
export function shareServer(options: StartOptions): () => Promise<TestServer> {
  const owner = new SuiteOwner();
  let server: Promise<TestServer> | null = null;
  after(() => owner.end());
  return () => (server ??= startServer(owner, options));
}

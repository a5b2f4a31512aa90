import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findPython } from "./python.ts";
import { startServer, type StartOptions, type TestServer } from "./start-server.ts";
import type { Owner } from "./temporary-folder.ts";

/** Folder of the applications that tests serve. */
export const PYTHON_FIXTURES = join(import.meta.dirname, "../fixtures/python");

export interface PythonServerOptions extends Partial<Omit<StartOptions, "flags">> {
  /** `behaviours:app`, in the folder of the fixtures unless `flags` name another one. */
  app: string;
  /** Packages that its interpreter has. */
  packages?: readonly string[];
  flags?: readonly string[];
}

/** Starts a server of a Python application, with one worker unless told. Its interpreter must be there. */
export function startPythonServer(
  t: Owner,
  { app, packages = [], flags = [], ...rest }: PythonServerOptions,
): Promise<TestServer> {
  const python = findPython(packages) ?? "python3";
  return startServer(t, {
    handlers: {},
    workers: 1,
    ...rest,
    flags: ["--app", app, "--python", python, "--app-dir", PYTHON_FIXTURES, ...flags],
  });
}

/** Asserts that a response whose application fails after its beginning does not end in order. */
export async function assertBrokenOff(server: TestServer): Promise<void> {
  const go = join(server.dir, "fail");
  const response = await server.fetch(`/boom-late?${go}`);
  assert.equal(response.status, 200);
  writeFileSync(go, "");
  await assert.rejects(response.text());
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { killChildAtEnd } from "./guardian.ts";
import { findPython } from "./python.ts";
import type { Owner } from "./temporary-folder.ts";

/** Starts Uvicorn on a free port, and ends it after the test. Returns its address. Its packages must be there. */
export async function startUvicorn(t: Owner, app: string, dir: string): Promise<string> {
  const python = findPython(["uvicorn", "websockets"]) ?? "python3";
  const args = ["-m", "uvicorn", app, "--port", "0", "--app-dir", dir, "--ws", "websockets"];
  const child = spawn(python, args, { stdio: ["ignore", "ignore", "pipe"] });
  killChildAtEnd(child);
  t.after(() => end(child));
  let log = "";
  for await (const line of createInterface(child.stderr)) {
    log += `${line}\n`;
    const address = /running on (http:\/\/[\d.]+:\d+)/.exec(line)?.[1];
    if (address === undefined) continue;
    // Otherwise it would wait at a full pipe.
    child.stderr.resume();
    return address;
  }
  throw new Error(`Uvicorn ended:\n${log}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

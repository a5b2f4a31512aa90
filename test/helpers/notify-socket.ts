import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import { temporaryFolder } from "./temporary-folder.ts";

/** Binds a datagram socket and prints what comes, a line each; what a barrier sends along is dropped, which ends it. */
const RECEIVER = `
import json, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(json.dumps(s.recv(4096).decode()), flush=True)
`;

/** Why there can be no such test; `false`: there can. */
export const LACKS_TOOLS = ["systemd-notify", "python3"].every(
  (program) => spawnSync(program, ["--version"]).status === 0,
)
  ? false
  : "needs systemd-notify and python3";

export interface NotifySocket {
  /** For `NOTIFY_SOCKET`. */
  path: string;
  /** The lines of the next message. */
  next: () => Promise<string[]>;
}

/** A real socket of a service manager, which Node itself cannot have. Closed after the test. */
export async function openNotifySocket(t: TestContext): Promise<NotifySocket> {
  const path = join(temporaryFolder(t), "notify");
  const child: ChildProcess = spawn("python3", ["-c", RECEIVER, path], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  assert.ok(child.stdout !== null);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  assert.equal(await line(), "bound");
  return {
    path,
    async next() {
      for (;;) {
        const message = String(JSON.parse(await line()));
        // What systemd-notify sends to learn that the others were taken.
        if (message !== "BARRIER=1") return message.trim().split("\n");
      }
    },
  };
}

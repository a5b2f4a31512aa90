/**
 * A worker without handlers for `pool.test.ts`: forked by a pool, it does what the file that stands in the place of the
 * generation's folder says.
 */
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { Channel } from "../../runtime/channel/channel.ts";
import {
  CHANNEL_FD,
  Kind,
  PROTOCOL_VERSION,
  type ToPrimary,
  type ToWorker,
} from "../../runtime/channel/messages.ts";
import { parseToWorker } from "../../runtime/channel/parse-to-worker.ts";

const channel = new Channel<ToWorker, ToPrimary>(new Socket({ fd: CHANNEL_FD }), {
  maxFrameBytes: 1024 * 1024,
  parse: parseToWorker,
  onMessage: receive,
  onClose: () => process.exit(0),
});

const hoard: Buffer[] = [];
let plan = "";

function receive(message: ToWorker): void {
  // Nothing else is sent to it.
  if (message[0] === Kind.hello) {
    plan = readFileSync(message[2].generationDir, "utf8");
    boot();
  } else if (message[0] === Kind.ping && plan !== "never answer a ping") {
    const vitals = { rssBytes: 3, heapUsedBytes: 2, loopUtilization: 0.1 };
    channel.send([Kind.pong, message[1], vitals]);
  } else if (message[0] === Kind.drain) {
    if (plan === "drain when told twice") plan = "";
    else if (plan !== "never drain") channel.send([Kind.drained]);
  } else if (message[0] === Kind.request) {
    // The path says how many MiB it is to take first, the method whether it then stops at that.
    const mib = Number(new URL(message[5]).pathname.slice(1));
    for (let taken = 0; taken < mib; taken++) hoard.push(Buffer.alloc(1024 * 1024, 1));
    while (message[4] === "BLOCK");
    channel.send([Kind.response, message[1], 200, "", "", "answer"]);
  }
}

function boot(): void {
  if (plan === "exit") process.exit(1);
  if (plan !== "skip the hello") channel.send([Kind.workerHello, PROTOCOL_VERSION]);
  channel.send([Kind.ready, { pid: process.pid, routes: [], warnings: [], threads: null }]);
}

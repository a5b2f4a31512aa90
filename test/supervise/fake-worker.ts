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
import { parseToWorker } from "../../runtime/channel/parse.ts";

const channel = new Channel<ToWorker, ToPrimary>(new Socket({ fd: CHANNEL_FD }), {
  maxFrameBytes: 1024 * 1024,
  parse: parseToWorker,
  onMessage: receive,
  onClose: () => process.exit(0),
});

let plan = "";

function receive(message: ToWorker): void {
  // Nothing else is sent to it.
  if (message[0] === Kind.hello) boot(message[2].generationDir);
  else if (message[0] === Kind.drain) channel.send([Kind.drained]);
  else if (message[0] === Kind.ping && plan !== "never answer a ping") {
    const vitals = { rssBytes: 3, heapUsedBytes: 2, loopUtilization: 0.1 };
    channel.send([Kind.pong, message[1], vitals]);
  } else if (message[0] === Kind.request) {
    channel.send([Kind.response, message[1], 200, "", "", "answer"]);
  }
}

function boot(planFile: string): void {
  plan = readFileSync(planFile, "utf8");
  if (plan === "exit") process.exit(1);
  if (plan !== "skip the hello") channel.send([Kind.workerHello, PROTOCOL_VERSION]);
  channel.send([Kind.ready, { pid: process.pid, routes: [] }]);
}

import { once } from "node:events";
import type { ClientKind, ClientKinds, FromClient, Order } from "./client-process.ts";
import { echo } from "./echo.ts";
import { takeEvents } from "./events.ts";
import { attackHttp2 } from "./http2-attack.ts";
import { openIdle } from "./idle.ts";
import { startTraffic } from "./traffic.ts";
import { loadWebSockets } from "./web-sockets.ts";

/** A client that goes on until it is told to stop. */
export interface LongClient<Report> {
  readonly report: () => Report;
  readonly stop: () => Promise<void> | void;
}

type Result<Kind extends ClientKind> =
  | ClientKinds[Kind]["report"]
  | LongClient<ClientKinds[Kind]["report"]>;

const CLIENTS: {
  readonly [Kind in ClientKind]: (task: ClientKinds[Kind]["task"]) => Promise<Result<Kind>>;
} = {
  echo,
  events: takeEvents,
  "http2-attack": attackHttp2,
  idle: openIdle,
  traffic: startTraffic,
  "web-sockets": loadWebSockets,
};

// `client-process.ts` starts this process, and wrote the arguments.
const [, , kind = "", task = ""] = process.argv;
// The process that measures is gone.
process.once("disconnect", () => process.exit());
try {
  const result = await CLIENTS[kind as ClientKind](JSON.parse(task) as never);
  if (typeof result === "object" && "stop" in result) await obey(result);
  else await send({ ok: true, report: result });
} catch (error) {
  await send({ ok: false, reason: error instanceof Error ? error.message : String(error) });
}
process.disconnect();

async function obey({ report, stop }: LongClient<unknown>): Promise<void> {
  await send({ ok: true, report: report() });
  for (;;) {
    const [order] = (await once(process, "message")) as [Order];
    if (order === "stop") await stop();
    await send({ ok: true, report: report() });
    if (order === "stop") return;
  }
}

/** Resolves when the message has left this process. */
function send(message: FromClient): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

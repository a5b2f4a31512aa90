import { corkedWrites } from "./corked-writes.ts";
import { echo1g } from "./echo-1g.ts";
import { exchanges } from "./exchanges.ts";
import { http2Attacks } from "./http2-attacks.ts";
import { http2Reloads } from "./http2-reloads.ts";
import { killWorkers, killWorkersPython } from "./kill-workers.ts";
import { overload } from "./overload.ts";
import { poison, poisonPython } from "./poison.ts";
import { queues, queuesRedis } from "./queues.ts";
import { reloads, reloadsPython } from "./reloads.ts";
import { slowClients, slowClientsPython } from "./slow-clients.ts";
import { slowTransfers, slowTransfersProxy } from "./slow-transfers.ts";
import type { Soak } from "./soak.ts";
import { upstreams } from "./upstreams.ts";
import { webSockets } from "./web-sockets.ts";

/** All soaks. When a few run at a time, the longest begin first. */
export const SOAKS: readonly Soak[] = [
  slowTransfers,
  slowTransfersProxy,
  reloads,
  exchanges,
  http2Reloads,
  slowClients,
  reloadsPython,
  queues,
  queuesRedis,
  slowClientsPython,
  killWorkers,
  killWorkersPython,
  upstreams,
  webSockets,
  poison,
  poisonPython,
  http2Attacks,
  overload,
  corkedWrites,
  echo1g,
];

import type { Client } from "../../http/client.ts";
import type { Stage } from "../site.ts";
import { answerCheck } from "./answer-health.ts";

/**
 * Answers the path of liveness probes with 200: the primary runs. It does not depend on workers, so that a broken handler or a
 * busy worker never makes a supervisor restart the server.
 */
export function answerLive(livePath: string): Stage {
  return (client, { pathname }) => {
    if (pathname !== livePath) return "next";
    answerProbe(client, { isGood: true, body: "ok\n" });
    return "done";
  };
}

/** Answers the path of readiness probes: 200, or 503 while a pool has no ready worker or the server drains. */
export function answerReady(readyPath: string, isReady: () => boolean): Stage {
  return (client, { pathname }) => {
    if (pathname !== readyPath) return "next";
    const isGood = isReady();
    answerProbe(client, { isGood, body: isGood ? "ready\n" : "not ready\n" });
    return "done";
  };
}

/** Good answers have no access line: probes come every few seconds. */
function answerProbe(client: Client, { isGood, body }: { isGood: boolean; body: string }): void {
  if (isGood) client.isLogged = false;
  answerCheck(client, { status: isGood ? 200 : 503, body });
}

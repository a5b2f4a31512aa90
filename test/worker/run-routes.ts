import type { TestContext } from "node:test";
import pino from "pino";
import type { Params } from "../../runtime/api.ts";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import { BackgroundWork } from "../../runtime/worker/background-work.ts";
import { ExchangeContext, toEnv } from "../../runtime/worker/context.ts";
import { loadGeneration } from "../../runtime/worker/load-handlers.ts";
import type { LoadedRoute } from "../../runtime/worker/route-table.ts";
import { runHandler } from "../../runtime/worker/run-handler.ts";
import { writeGeneration, type GenerationPlan } from "./write-generation.ts";

export interface LogLine {
  level: number;
  msg: string;
  requestId?: string;
  route?: string;
  code?: string;
  handler?: string;
  file?: string;
  line?: number;
  err?: { type: string; message: string; stack: string };
}

export interface Runner {
  routes: (LoadedRoute | undefined)[];
  fallbacks: (LoadedRoute | undefined)[];
  background: BackgroundWork;
  /** What was logged so far. */
  log: LogLine[];
  /** The exchanges that were offered to the primary. It took none. */
  asked: ExchangeId[];
  /** Runs one exchange; what comes back is as `runHandler` returned it. */
  run: (
    route: LoadedRoute | undefined,
    request?: Request,
    params?: Params,
  ) => Response | Promise<Response>;
}

/** Loads the handlers of a plan and runs exchanges on them, as a worker does. */
export async function startRunner(
  t: TestContext,
  plan: GenerationPlan,
  mode: "production" | "development" = "production",
): Promise<Runner> {
  const { cwd, generationDir } = await writeGeneration(t, plan);
  const { routes, fallbacks } = await loadGeneration(generationDir, { mode, cwd });
  const log: LogLine[] = [];
  const write = (line: string): void => void log.push(JSON.parse(line) as LogLine);
  const background = new BackgroundWork();
  const asked: ExchangeId[] = [];
  const scope = {
    env: toEnv({ GREETING: "hello" }),
    log: pino({ level: "trace" }, { write }),
    requestIdPrefix: "test-",
    trustsRequestIds: false,
    background,
    purges: { purge: () => Promise.resolve(0) },
    passed: {
      ask(id: ExchangeId) {
        asked.push(id);
        return Promise.resolve(false);
      },
    },
    sockets: { accept: () => {}, publish: () => {} },
  };
  let id = 0;
  return {
    routes,
    fallbacks,
    background,
    log,
    asked,
    run(route, request = new Request("http://localhost/"), params) {
      if (route === undefined) throw new Error("no such route");
      id += 1;
      const { pattern } = route;
      const facts = {
        // Ids are made in tests only here.
        id: id as ExchangeId,
        pattern,
        route: 0,
        params: params ?? null,
        clientAddress: "::1",
        fields: "",
        deadline: null,
      };
      return runHandler(route, request, new ExchangeContext(scope, facts));
    },
  };
}

/** Starts a runner with one route, `/test`, answered by `handler.ts`; other files surround it by their names. */
export function startRoute(
  t: TestContext,
  files: Record<string, string>,
  mode?: "production" | "development",
): Promise<Runner> {
  const middleware = Object.keys(files).filter((name) => name.endsWith("_middleware.ts"));
  const error = Object.keys(files).find((name) => name.endsWith("_error.ts"));
  const route = {
    pattern: "/test",
    handlers: [[null, "handler.ts"]] as [null, string][],
    middleware,
    ...(error === undefined ? {} : { error }),
  };
  return startRunner(t, { files, routes: [route] }, mode);
}

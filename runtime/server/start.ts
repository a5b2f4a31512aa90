import { setTimeout as delay } from "node:timers/promises";
import { loadConfig, type Config, type Flags } from "../config/config.ts";
import { EXIT } from "../lib/errors.ts";
import { ServerLogs } from "../log/server-logs.ts";
import { guardStandardStreams, tellLostOutput } from "../log/standard-streams.ts";
import { describeFailure, exitOnBug } from "./bugs.ts";
import type { LaunchedServer } from "./launch-as-user.ts";
import { takeLaunchedMark } from "./launched-mark.ts";
import type { OpenServer } from "./open.ts";
import type { Serving } from "./serve.ts";
import { obeySignals } from "./shutdown.ts";
import { toStartCommand } from "./start-command.ts";
import { Takeover } from "./takeover.ts";

/** Longest wait for a start that a signal interrupts. A build that does not end is killed earlier. */
const ABORT_START_MS = 3_000;

export interface StartOptions {
  mode: Config["mode"];
  flags: Flags;
}

/**
 * Runs the server until a signal ends it: reads the config, opens the server, makes it known, obeys signals meanwhile.
 *
 * @throws RuntimeError of fault "operator" when it cannot start; nothing is left behind then.
 */
export async function start({ mode, flags }: StartOptions): Promise<void> {
  const streams = guardStandardStreams();
  const logs = new ServerLogs();
  exitOnBug((error) => logs.reportBug(error, describeFailure(error).text));
  // Read at once: a deployment may delete the folder or move the link later.
  const command = toStartCommand({ ...process, cwd: process.cwd(), pwd: process.env["PWD"] });
  const isLaunched = takeLaunchedMark({ onOrphaned: stop });
  const stopping = new AbortController();
  let launched: LaunchedServer | null = null;
  const takeover = Takeover.receive({
    onOrphaned: stop,
    onLeave: () => whenServing((server) => void server.leaveAndExit()),
  });

  const readConfig = (signal: AbortSignal): Promise<Config> =>
    loadConfig({ mode, flags, env: process.env, cwd: command.startedIn, signal });
  const open = async (): Promise<OpenServer> => {
    // Loading the rest of the program takes as long as the process that evaluates a config file.
    const [config, { openServer }] = await Promise.all([
      readConfig(stopping.signal),
      import("./open.ts"),
    ]);
    if (config.user !== null || config.group !== null) {
      const { launchAsUser } = await import("./launch-as-user.ts");
      launched = await launchAsUser(config, { start: command, signal: stopping.signal });
      if (launched !== null) {
        setDeputy(launched.toDeputy());
        process.exit(await launched.exited);
      }
    }
    const log = await logs.open(config);
    tellLostOutput(log, streams);
    const options = { config, log, logs, start: command, envFile: flags.envFile, isLaunched };
    return openServer({ ...options, takeover, readConfig, stop }, stopping.signal);
  };
  const opening = open();
  const serving = opening.then(async (server) => {
    const { serve } = await import("./serve.ts");
    return serve(server, { start: command, takeover, setDeputy: (deputy) => setDeputy(deputy) });
  });

  let isServing = false;
  const whenServing = (act: (server: Serving) => void): void => {
    if (!isServing) {
      logs.log?.info("received a signal while starting: the server obeys it when it serves");
    }
    serving.then(act, () => {});
  };
  // A signal that comes while the server starts takes effect as soon as possible.
  const setDeputy = obeySignals({
    async close(signal) {
      logs.log?.info({ signal }, "stopping: finishing requests in flight");
      stopping.abort();
      const late = delay(ABORT_START_MS, null, { ref: false });
      const opened = await Promise.race([opening.catch(() => null), late]);
      opened?.presence.leave();
      await Promise.all([
        opened?.primary.close(opened.primary.config.drainGraceMs, {
          delayMs: isServing ? opened.primary.config.shutdownDelayMs : 0,
        }),
        Promise.race([serving.catch(() => null), late]).then((server) => server?.abortUpgrade()),
      ]);
      logs.log?.info("stopped");
      return EXIT.drained;
    },
    force: (signal) => logs.log?.warn({ signal }, "stopped at once"),
    reload: () => whenServing((server) => void server.reload().catch(() => {})),
    reopenLogs: () => logs.reopen(),
    resize: (change) => whenServing((server) => server.resize(change)),
    upgrade: () => {
      if (launched === null) whenServing((server) => server.upgrade());
      else launched.pass("SIGUSR2");
    },
  });
  try {
    await serving;
    isServing = true;
  } catch (error) {
    // The signal handler ends the process.
    if (stopping.signal.aborted) return;
    await takeover?.failed(describeFailure(error).text);
    throw error;
  }
}

/** Sends this process the signal that ends it in order. */
function stop(): void {
  process.kill(process.pid, "SIGTERM");
}

import { resolve } from "node:path";
import * as z from "zod/mini";
import { openStream, readAll } from "../../control/control-client.ts";
import { EXIT, RuntimeError } from "../../lib/errors.ts";
import type { ProfileInvocation } from "../arguments.ts";
import type { Outcome } from "../control.ts";
import { describeNeighbours, findServer } from "../find-server.ts";
import { ProfileFile } from "./profile-file.ts";
import { recordCpu, takeHeapSnapshot } from "./record.ts";
import { InspectorSession } from "../../supervise/hang/inspector-session.ts";

/** Longest wait for the connection to the inspector of a worker. */
const CONNECT_MS = 10_000;

/** Largest message of an inspector: a whole CPU profile. */
const MAX_MESSAGE_BYTES = 1024 * 1024 * 1024;

const eventSchema = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("begun"),
    process: z.string(),
    pid: z.number(),
    inspectorUrl: z.nullable(z.string()),
  }),
  z.object({ type: z.literal("text"), text: z.string() }),
  z.object({ type: z.literal("done") }),
]);

export interface ProfileOptions {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
  /** Ends a CPU profile early. */
  signal: AbortSignal;
  /** Shows a line meanwhile. */
  tell: (line: string) => void;
}

/**
 * Profiles a process of the running server into a new file. A profile that is not complete leaves no file.
 *
 * @returns The path of the file.
 * @throws RuntimeError `ERR_CONFIG` when the file exists or cannot be created.
 */
export async function runProfile(
  { flags, json, request, output }: ProfileInvocation,
  { env, cwd, signal, tell }: ProfileOptions,
): Promise<Outcome> {
  const { stateDir } = await findServer({ flags, env, cwd });
  const { target, kind } = request;
  const name = output ?? toFileName(target, kind, new Date());
  const file = ProfileFile.create(resolve(cwd, name));
  let isComplete = false;
  const ending = new AbortController();
  // The primary is profiled by the server, which keeps nothing of a profile that ends early.
  const cancel = (): void => ending.abort();
  if (target === "primary") signal.addEventListener("abort", cancel, { once: true });
  try {
    const stream = await openStream(
      stateDir,
      { method: "POST", path: "/profile", body: request },
      { signal: ending.signal, silenceMs: null },
    );
    const onEvent = async (value: unknown): Promise<void> => {
      const event = eventSchema.parse(value);
      if (event.type === "text") file.write(event.text);
      else if (event.type === "done") isComplete = true;
      else {
        tell(describe(event, { kind, seconds: request.seconds }));
        if (event.inspectorUrl === null) return;
        await record(event.inspectorUrl, { request, file, signal });
        isComplete = true;
        // The server closes the inspector and watches the worker again.
        ending.abort();
      }
    };
    const failure = stream.kind === "open" ? await readAll(stream.events, onEvent) : stream;
    if (failure !== null && !isComplete && !ending.signal.aborted) {
      const isAbsent = failure.kind === "unreachable" && ["none", "stale"].includes(failure.why);
      const neighbours = isAbsent ? await describeNeighbours(stateDir, cwd) : null;
      const problem = [failure.message, neighbours ?? []].flat().join("\n");
      const exitCode = failure.kind === "refused" ? exitCodeOf(failure.code) : EXIT.unavailable;
      return { text: "", problem, exitCode };
    }
    if (!isComplete) {
      const problem = signal.aborted
        ? "Cancelled: no profile was written"
        : "Cannot finish the profile: the worker ended meanwhile, or the server did";
      return { text: "", problem, exitCode: EXIT.failed };
    }
    const bytes = file.keep();
    const text = json ? `${JSON.stringify({ file: file.path, bytes })}\n` : `${file.path}\n`;
    return { text, problem: "", exitCode: EXIT.drained };
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    return { text: "", problem: error.message, exitCode: EXIT.failed };
  } finally {
    signal.removeEventListener("abort", cancel);
    file.close();
  }
}

async function record(
  url: string,
  {
    request,
    file,
    signal,
  }: Pick<ProfileInvocation, "request"> & { file: ProfileFile; signal: AbortSignal },
): Promise<void> {
  let session: InspectorSession;
  try {
    session = await InspectorSession.connect(url, {
      signal: AbortSignal.timeout(CONNECT_MS),
      maxMessageBytes: MAX_MESSAGE_BYTES,
    });
  } catch (error) {
    throw new RuntimeError(
      "ERR_OVERLOADED",
      "Cannot reach the inspector of the worker: the worker ended meanwhile, or this command runs on another machine or in another container than the server",
      { cause: error },
    );
  }
  try {
    if (request.kind === "cpu") file.write(await recordCpu(session, request.seconds, signal));
    else await takeHeapSnapshot(session, (chunk) => file.write(chunk));
  } finally {
    session.close();
  }
}

function describe(
  { process, pid }: { process: string; pid: number },
  { kind, seconds }: { kind: "cpu" | "heap"; seconds: number },
): string {
  return kind === "cpu"
    ? `profiling ${process} (process ${pid}) for ${seconds} s; Ctrl+C ends it`
    : `taking a heap snapshot of ${process} (process ${pid}), which stands still meanwhile; the file may contain secrets`;
}

/** `edgicorn-worker-3-20261129T231900.cpuprofile`: DevTools know files by these endings. */
function toFileName(target: "primary" | number, kind: "cpu" | "heap", now: Date): string {
  const time = now.toISOString().replaceAll(/[-:]|\.\d+Z/g, "");
  const subject = target === "primary" ? target : `worker-${target}`;
  return `edgicorn-${subject}-${time}.${kind === "cpu" ? "cpuprofile" : "heapsnapshot"}`;
}

function exitCodeOf(code: string | null): number {
  if (code === "ERR_DRAINING") return EXIT.unavailable;
  return code === "ERR_CONFIG" ? EXIT.config : EXIT.failed;
}

import { STATUS_CODES } from "node:http";
import type { Readable } from "node:stream";
import { type Config, type ConfigSources, loadConfig } from "../../config/config.ts";
import { DEFAULT_SITE, listSites } from "../../config/sites.ts";
import { readQuestion } from "../../explain/explained-request.ts";
import type { RequestHead } from "../../http/client.ts";
import { HostTable } from "../../http/host-table.ts";
import { OwnClient } from "../../http/own-client.ts";
import { hasBody, isSource, type Reply } from "../../http/reply.ts";
import { toTrust } from "../../http/trusted-proxies.ts";
import { EXIT } from "../../lib/errors.ts";
import type { Primary } from "../../primary.ts";
import type { FetchWish } from "./parse-fetch.ts";
import { readData, type ReadDataOptions } from "./read-data.ts";
import { refuseOtherUser } from "./refuse-other-user.ts";
import { writeBody } from "./write-body.ts";
import { withPrimary } from "../with-primary.ts";

/** Exit code for an answer of 400 and above: the same as `curl --fail`. */
const EXIT_STATUS = 22;

const FIRST_FAILURE = 400;

export interface FetchOptions extends Pick<ConfigSources, "flags" | "env" | "cwd"> {
  wish: FetchWish;
  /** Ends the request, as a client that leaves. */
  signal: AbortSignal;
  /** Gets the head and the body of the answer. */
  output: NodeJS.WritableStream;
  /** Has the body for `-d @-`. */
  input: Readable;
}

/** The end of a request. */
export interface FetchOutcome {
  /** For standard error. */
  problem: string;
  exitCode: number;
}

/**
 * Runs the handler of a path once, with its middleware and bindings, in a worker of this project's code, and writes its
 * answer. No port is opened. Rules of the config, files and the stored answers of a running server have no part in it.
 *
 * @returns Exit code 0 below 400, and 22 from there on.
 * @throws RuntimeError `ERR_CONFIG` for wrong settings, unreadable files, and root in place of the server's user, `ERR_HANDLER_LOAD` or `ERR_BOOT_LOOP` for
 *   handlers that do not load.
 */
export async function runFetch({ wish, signal, ...options }: FetchOptions): Promise<FetchOutcome> {
  const { flags, env, cwd, output, input } = options;
  const config = await loadConfig({ mode: "production", flags, env, cwd, signal });
  await refuseOtherUser(config, process.getuid?.());
  const body = await readBody(wish, { cwd, input, signal });
  if (body === "left") return LEFT;
  const read = readQuestion(
    { method: wish.method, url: wish.url, fields: addFields(wish.fields, body), client: null },
    { trust: toTrust(config), limits: config },
  );
  if ("refused" in read) {
    const { status, reason } = read.refused;
    return failed(`Cannot send the request: ${reason}; a server would answer ${status}`);
  }
  if (read.breach !== null) {
    const { setting, status } = read.breach;
    return failed(
      `Cannot send the request: ${setting} refuses it; a server would answer ${status}`,
    );
  }
  const { head } = read;
  const primaryOptions = {
    name: "fetch",
    // The lines about the start and the end of the workers would stand among those of the handler.
    logLevel: config.origins.logLevel === undefined ? "warn" : config.logLevel,
    workerOutput: "stderr",
    hasStores: config.bindings.length > 0,
    signal,
  } as const;
  const site = siteOf(head.origin, config);
  try {
    return await withPrimary(config, primaryOptions, (primary) =>
      call(primary, { head, body, site, wish, signal, output }),
    );
  } catch (error) {
    if (signal.aborted) return LEFT;
    throw error;
  }
}

/** The outcome of a request that the user ended. */
const LEFT: FetchOutcome = { problem: "", exitCode: EXIT.failed };

/** Returns the body of the request; `null`: it has none. */
async function readBody(
  { data }: FetchWish,
  options: ReadDataOptions,
): Promise<Uint8Array | "left" | null> {
  try {
    return data === null ? null : await readData(data, options);
  } catch (error) {
    if (options.signal.aborted) return "left";
    throw error;
  }
}

interface Answer {
  status: number;
  /** The end of its body. */
  end: ReturnType<typeof writeBody>;
}

async function call(
  primary: Primary,
  {
    head,
    body,
    site,
    wish: { include },
    signal,
    output,
  }: {
    head: RequestHead;
    body: Uint8Array | null;
    site: string;
    wish: FetchWish;
    signal: AbortSignal;
    output: NodeJS.WritableStream;
  },
): Promise<FetchOutcome> {
  const answer = await new Promise<Answer | "missing" | "left">((settle) => {
    const isFound = primary.answerByRoute((id) => {
      const client = new OwnClient({
        id,
        head,
        ...(body !== null && { body }),
        isLogged: false,
        onReply(reply) {
          const { status } = reply;
          if (include) output.write(toHead(reply));
          const isWithout = !hasBody(head.method, status);
          if (isWithout && isSource(reply.body)) reply.body.cancel();
          // The bytes of the reply are lent: they are read in this turn.
          const end = writeBody(isWithout ? null : reply.body, { output, signal });
          settle({ status, end });
        },
      });
      const leave = (): void => {
        client.leave();
        settle("left");
      };
      signal.addEventListener("abort", leave, { once: true });
      return client;
    }, site);
    if (!isFound) settle("missing");
  });
  if (answer === "missing") return failed(describeMissing(primary, { head, site }));
  const end = answer === "left" ? answer : await answer.end;
  if (answer === "left" || end === "left") return LEFT;
  if (end === "broken") {
    const problem = "Cannot read the whole answer: its body broke off";
    return { problem, exitCode: EXIT.failed };
  }
  return { problem: "", exitCode: answer.status < FIRST_FAILURE ? EXIT.drained : EXIT_STATUS };
}

/** Most routes that a message names. */
const MOST_ROUTES = 10;

function describeMissing(
  { generation }: Primary,
  { head, site }: { head: RequestHead; site: string },
): string {
  const routes = generation.routesOf(site)?.describeRoutes() ?? [];
  const patterns = [...new Set(routes.map(({ pattern }) => pattern))];
  const shown = patterns.slice(0, MOST_ROUTES).join(", ");
  const more = patterns.length > MOST_ROUTES ? " ..." : "";
  const expected = shown === "" ? "handlers" : `one of ${shown}${more}`;
  const ofSite = site === DEFAULT_SITE ? "" : ` of ${site}`;
  return `Cannot fetch ${head.target}: found no route${ofSite}, expected ${expected}`;
}

function failed(problem: string): FetchOutcome {
  return { problem, exitCode: EXIT_STATUS };
}

function siteOf(origin: string, config: Config): string {
  const entries = listSites(config).map(({ name, hosts }) => ({ hosts, value: name }));
  return new HostTable({ entries, otherwise: DEFAULT_SITE }).find(origin);
}

/** Adds the fields that a client such as curl adds. The length of the body is a fact. */
function addFields(
  fields: readonly [string, string][],
  body: Uint8Array | null,
): [string, string][] {
  const given = new Set(fields.map(([name]) => name.toLowerCase()));
  const own = fields.filter(([name]) => name.toLowerCase() !== "content-length");
  const usual: [string, string][] = [
    ["user-agent", "edgicorn-fetch"],
    ["accept", "*/*"],
    ...(body === null
      ? []
      : ([["content-type", "application/x-www-form-urlencoded"]] satisfies [string, string][])),
  ];
  const length: [string, string][] = body === null ? [] : [["content-length", String(body.length)]];
  return [...usual.filter(([name]) => !given.has(name)), ...own, ...length];
}

function toHead({ status, statusText, fields }: Reply): string {
  const parts = fields === "" ? [] : fields.split("\n");
  const lines = Array.from({ length: parts.length / 2 }, (_, index) => {
    return `${parts[index * 2]}: ${parts[index * 2 + 1]}`;
  });
  const reason = statusText === "" ? (STATUS_CODES[status] ?? "") : statusText;
  return [`HTTP/1.1 ${status} ${reason}`.trimEnd(), ...lines, "", ""].join("\n");
}

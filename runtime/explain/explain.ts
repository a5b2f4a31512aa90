import type { Config } from "../config/config.ts";
import { inConfigFile } from "../config/effective.ts";
import { listSites, toSiteSettings } from "../config/sites.ts";
import type { Explanation, ExplainedRequest, Question, Verdict } from "../control/explanation.ts";
import type { ExchangeId, RequestHead } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { OwnClient } from "../http/own-client.ts";
import { isSource, type Reply } from "../http/reply.ts";
import { HostTable } from "../http/host-table.ts";
import { toTrust } from "../http/trusted-proxies.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { LiveSites } from "../site/live-sites.ts";
import type { ServerCertificate } from "../tls/tls.ts";
import { readQuestion } from "./explained-request.ts";
import { listLimits } from "./limits.ts";
import { InquiryRecord } from "./record.ts";

/** Longest wait for a decision: the check of a password, a file that is opened. */
const LONGEST_MS = 5_000;

/** The parts of the server that are asked. */
export interface ExplainParts {
  config: Config;
  sites: LiveSites;
  /** The certificates that serve, the default one first. */
  certificates: readonly ServerCertificate[];
  /** The ports on which the server listens; `null`: none for this scheme. */
  ports: { http: number | null; https: number | null };
  nextId: () => ExchangeId;
}

/**
 * Explains the answer to a request: asks the stages that serve, with a client that sends nothing.
 *
 * No handler runs, no upstream server and no service of `forwardAuth` is asked, no limit counts the request.
 *
 * @throws RuntimeError `ERR_CONFIG` for a question that is no request.
 */
export async function explain(question: Question, parts: ExplainParts): Promise<Explanation> {
  const { config, sites, certificates, ports, nextId } = parts;
  const read = readQuestion(question, { trust: toTrust(config), limits: config });
  const remarks = ports[read.scheme] === null ? [`the server has no port for ${read.scheme}`] : [];
  if ("refused" in read) {
    const { status, reason } = read.refused;
    return {
      ...NOTHING,
      request: toRequest(question, read.peer),
      steps: [{ name: "head", rules: [], decides: true, notes: [reason] }],
      verdict: { kind: "reply", status, location: null },
      remarks,
    };
  }
  const { head, scheme, serverName, ownOrigin, peer, breach } = read;
  const request = { ...toRequest(question, peer), client: head.clientAddress };
  const certificate = scheme === "https" ? pickCertificate(certificates, serverName) : null;
  const { client, inquiry, ended } = createClient(nextId(), head);
  if (breach !== null) {
    inquiry.step({ name: breach.setting, rules: [] }, () => client.refuse(breach.status));
  } else sites.serve(client, certificate, ownOrigin);
  await settledWithin(ended, LONGEST_MS);
  const isOpen = !client.settled;
  client.leave();
  const reply = isOpen ? null : await ended;
  const [byDefault, ...others] = listSites(config);
  if (byDefault === undefined) throw new TypeError("there is always a default site");
  const siteName = inquiry.find("site")?.name ?? null;
  const site = others.find(({ name }) => name === siteName) ?? byDefault;
  const settings = toSiteSettings(config, site);
  const verdict = isOpen ? ({ kind: "open" } as const) : toVerdict(reply, { client, inquiry });
  const answers = verdict.kind === "handler" || verdict.kind === "proxy" ? verdict.kind : "server";
  const steps = inquiry.toSteps().map((step) => ({
    ...step,
    rules: step.rules.map((key) => inConfigFile(key, config)),
  }));
  return {
    request: { ...request, url: head.origin + head.target },
    site: siteName === null ? null : { name: site.name, hosts: site.hosts },
    certificate:
      certificate === null
        ? null
        : {
            names: certificate.names,
            file: certificate.certPath,
            notAfter: new Date(certificate.notAfterMs).toISOString(),
          },
    steps,
    verdict,
    ...pickFacts(inquiry),
    limits: listLimits(inquiry, { settings, site, answers }),
    remarks: [...remarks, ...inquiry.remarks],
  };
}

/**
 * Creates the client of a request that is explained. It has no body, and its reply goes nowhere.
 *
 * @returns `ended`: the reply, after its filters; `null`: a worker or an upstream server would answer.
 */
function createClient(
  id: ExchangeId,
  head: RequestHead,
): { client: OwnClient; inquiry: InquiryRecord; ended: Promise<Reply | null> } {
  let end: ((reply: Reply | null) => void) | null = null;
  const ended = new Promise<Reply | null>((resolve) => {
    end = resolve;
  });
  const inquiry = new InquiryRecord(() => {
    client.leave();
    end?.(null);
  });
  const client = new OwnClient({
    id,
    head,
    inquiry,
    isLogged: false,
    onReply(reply) {
      if (isSource(reply.body)) reply.body.cancel();
      end?.(reply);
    },
  });
  return { client, inquiry, ended };
}

const NOTHING = { site: null, certificate: null, limits: [] };

function toRequest({ method, url }: Question, peer: string): ExplainedRequest {
  return { method, url, client: peer, peer };
}

/** Returns the certificate that TLS chooses for a server name; `null`: the server has none. */
function pickCertificate(
  certificates: readonly ServerCertificate[],
  serverName: string,
): ServerCertificate | null {
  const entries = certificates.map((value) => ({ hosts: value.names, value }));
  return new HostTable({ entries, otherwise: certificates[0] ?? null }).findHost(serverName);
}

function toVerdict(
  reply: Reply | null,
  { client: { cached }, inquiry }: { client: OwnClient; inquiry: InquiryRecord },
): Verdict {
  if (reply === null) return { kind: inquiry.find("proxy") === null ? "handler" : "proxy" };
  const { status, fields } = reply;
  if (cached === "hit" || cached === "stale") return { kind: "cached", status };
  return { kind: "reply", status, location: findField(fields, "location") ?? null };
}

function pickFacts(
  inquiry: InquiryRecord,
): Pick<Explanation, "file" | "route" | "pool" | "cache" | "proxy"> {
  const facts: Pick<Explanation, "file" | "route" | "pool" | "cache" | "proxy"> = {};
  for (const kind of ["file", "route", "pool", "cache", "proxy"] as const) {
    const fact = inquiry.find(kind);
    if (fact !== null) Object.assign(facts, { [kind]: fact });
  }
  return facts;
}

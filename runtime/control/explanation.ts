import type { CacheFact, FileFact, PoolFact, ProxyFact, RouteFact } from "../http/inquiry.ts";

/** A request that an operator asks about. */
export interface Question {
  method: string;
  /** `https://example.com/path?query`, or a path alone: for `http://localhost`. */
  url: string;
  /** Fields of the request, with `host` if it differs from the host of the URL. */
  fields: readonly (readonly [name: string, value: string])[];
  /** Address of the peer; `null`: this machine. */
  client: string | null;
}

/** The way of a request through the server, which no part of the server has answered. Plain data. */
export interface Explanation {
  request: ExplainedRequest;
  /** The site of the host; `null`: no site sees the request. */
  site: { name: string; hosts: readonly string[] } | null;
  /** The certificate of the connection; `null`: the connection has no TLS. */
  certificate: { names: readonly string[]; file: string; notAfter: string } | null;
  /** The steps in their order. */
  steps: ExplainedStep[];
  verdict: Verdict;
  file?: FileFact | undefined;
  route?: RouteFact | undefined;
  pool?: PoolFact | undefined;
  cache?: CacheFact | undefined;
  proxy?: ProxyFact | undefined;
  /** The limits that apply to the request, and the place where each was set. */
  limits: ExplainedLimit[];
  /** Sentences about the request as a whole. */
  remarks: string[];
}

export interface ExplainedRequest {
  method: string;
  /** Scheme, host, path and query as handlers see them. */
  url: string;
  /** Address of the client: that of the peer, or one that a trusted proxy names. */
  client: string;
  peer: string;
}

export interface ExplainedStep {
  name: string;
  /** Places of the rules that the step carries out: `rules[3] in edgicorn.config.ts`. */
  rules: string[];
  /** The step decided the answer. All others let the request pass. */
  decides: boolean;
  notes: string[];
}

/** The answer to the request. */
export type Verdict =
  /** The server answers itself. */
  | { kind: "reply"; status: number; location: string | null }
  /** The answer is in the response cache. */
  | { kind: "cached"; status: number }
  /** A handler or a Python application answers. */
  | { kind: "handler" }
  | { kind: "proxy" }
  /** No decision was made within the time of an explanation. */
  | { kind: "open" };

/** A limit in the words of the config file. */
export interface ExplainedLimit {
  name: string;
  value: string;
  /** `default`, `--body-limit`, `rules[3] in edgicorn.config.ts`, `config of handlers/a.ts`. */
  from: string;
}

import type { RouteLimits } from "../channel/messages.ts";

/**
 * Records the decisions about a request that is explained, and not answered. The parts of the server that see such a
 * request decide as usual, but take no token, ask no worker and send nothing.
 */
export interface Inquiry {
  /** Runs a step of the request, and records its outcome. Steps may be nested. */
  step<Outcome>(step: InquiryStep, run: () => Outcome): Outcome;
  /** Adds a sentence to the step that began last. */
  note(text: string): void;
  /** Records a fact about the answer. */
  tell(fact: Fact): void;
  /** Ends the inquiry: a worker or an upstream server would answer now. Does nothing after a reply. */
  conclude(): void;
}

/** A step of a request. */
export interface InquiryStep {
  /** `health`, `files`, `redirect`. */
  readonly name: string;
  /** The places of the rules that the step carries out: `rules[3]`. */
  readonly rules: readonly string[];
}

/** A fact about the answer to a request. */
export type Fact =
  | FileFact
  | RouteFact
  | PoolFact
  | CacheFact
  | ProxyFact
  | { readonly kind: "site"; readonly name: string | null }
  | { readonly kind: "rule-settings"; readonly fields: readonly string[]; readonly rule: string }
  | {
      readonly kind: "handler-limits";
      readonly limits: RouteLimits | null;
    };

/** A file that answers. */
export interface FileFact {
  readonly kind: "file";
  /** Absolute path. */
  readonly file: string;
}

/** A route that answers, and the other routes that match the path. */
export interface RouteFact {
  readonly kind: "route";
  readonly pattern: string;
  /** The file of the handler, or the name of the Python application. */
  readonly file: string;
  /** `fallback`: no route matches, and the nearest `_404` answers. */
  readonly use: "route" | "fallback";
  readonly params: Readonly<Record<string, string>>;
  /** Empty: any. */
  readonly methods: readonly string[];
  /** Routes that match the path and do not get the request. The nearest one comes first. */
  readonly losers: readonly { readonly pattern: string; readonly file: string }[];
}

/** The workers that answer. */
export interface PoolFact {
  readonly kind: "pool";
  readonly pool: string;
  readonly ready: number;
  readonly workers: number;
}

/** The use of the response cache. */
export interface CacheFact {
  readonly kind: "cache";
  /** `hit`: the answer is fresh. `stale`: it is served and refreshed. `validate`: the responder is asked about it. */
  readonly result: "hit" | "stale" | "validate" | "miss" | "bypass";
  /** The URL of the key, with the parameters that count. */
  readonly url: string;
  /** Names of the cookies that count. */
  readonly cookies: readonly string[];
  /** The request has credentials or cookies outside of the key: only an answer that allows it is stored. */
  readonly isPersonal: boolean;
  /** Age of the stored answer; `null`: there is none. */
  readonly ageMs: number | null;
  /** Time for which the stored answer is fresh, from its origin on; `null`: there is none. */
  readonly lifetimeMs: number | null;
}

/** The upstream servers that may answer. */
export interface ProxyFact {
  readonly kind: "proxy";
  readonly group: string;
  /** Target of the request to the upstream server. */
  readonly target: string;
  readonly servers: readonly { readonly name: string; readonly state: string }[];
}

import type { ExchangeId } from "../http/client.ts";
import type { Responder } from "../http/responder.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { CachePolicy } from "../lib/cache-policy.ts";
import { CachedResponder } from "./cached-responder.ts";
import { isWithin } from "./entry-index.ts";
import { HitFields } from "./hit-fields.ts";
import type { Line } from "./line.ts";
import { parsePurge, PURGE_EXPECTED } from "./parse-purge.ts";
import { toRoutePolicy } from "./route-policy.ts";
import { siteOfSpace } from "./named-caches.ts";
import type { CacheStore, EntryPlace, Purge, StoreStats } from "./store.ts";
import { UnstoredKeys } from "./unstored-keys.ts";

export interface ResponseCacheOptions {
  /** Opens the store: called once, when the first route has a cache. */
  openStore: () => CacheStore;
  /** Returns the id of a request that the cache sends. */
  nextId: () => ExchangeId;
  /** Returns the wall clock. */
  now?: () => number;
}

/** A site whose handler purges. */
export interface PurgingSite {
  readonly name: string;
  /** Tells whether the host of an origin belongs to the site. */
  hasOrigin(origin: string): boolean;
}

const DEFAULT_WAIT_MS = 5_000;

/** The response cache of a primary. Costs nothing until a route has a cache. */
export class ResponseCache {
  /** How long a visitor waits for an answer that is fetched for another one. May change at any time. */
  waitMs: number = DEFAULT_WAIT_MS;
  readonly #options: ResponseCacheOptions;
  readonly #hitFields = new HitFields();
  readonly #lines = new Map<string, Line>();
  readonly #unstored = new UnstoredKeys();
  #store: CacheStore | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: ResponseCacheOptions) {
    this.#options = options;
  }

  /**
   * Returns a responder that answers from the cache where it can. Make one per route, not per request.
   *
   * @param options.version Tag for the answers of this version of the responder's code. Answers of other versions
   *   are not used. `null`: all are.
   * @param options.destination Name of the responder, where several ones answer for one URL. They share no answers.
   * @param options.acceptsWebSockets Requests for a WebSocket pass the cache by. Only for a responder that accepts some:
   *   any client can ask for one.
   */
  around(
    inner: Responder,
    {
      policy,
      version,
      destination = "",
      acceptsWebSockets = false,
    }: {
      policy: CachePolicy;
      version: string | null;
      destination?: string;
      acceptsWebSockets?: boolean;
    },
  ): Responder {
    const { nextId, now = Date.now } = this.#options;
    const waitMs = (): number => this.waitMs;
    return new CachedResponder(inner, {
      parts: { store: this.store, hitFields: this.#hitFields, nextId, now, waitMs },
      policy: toRoutePolicy(policy),
      version,
      destination,
      acceptsWebSockets,
      lines: this.#lines,
      unstored: this.#unstored,
      invalidate: (urls) => {
        for (const url of urls) this.purge({ kind: "url", url, space: "" });
      },
    });
  }

  /** The store, which is opened by the first use. */
  get store(): CacheStore {
    this.#store ??= this.#options.openStore();
    return this.#store;
  }

  /** Called with each purge that an operator or a handler of this server asks for. */
  onPurged: (text: string, site: string | null) => void = () => {};

  /** Numbers for the status; `null`: no route has a cache. */
  get stats(): StoreStats | null {
    return this.#store?.stats() ?? null;
  }

  /**
   * Removes entries, with all their variants. Answers that are under way are not stored if they may be older than the
   * purge, and later visitors do not wait for them.
   *
   * @param onDone Called with the number of removed entries, once the files are gone, too.
   */
  purge(purge: Purge, onDone?: (count: number) => void): void {
    for (const [id, line] of this.#lines) {
      if (!mayCover(purge, id)) continue;
      line.outdate();
      this.#lines.delete(id);
    }
    this.store.purge(purge, onDone);
  }

  /**
   * Removes the entries that an operator or a handler names (`parse-purge.ts`).
   *
   * @param site The site that purges. It reaches the entries of its own hosts. Absent: the purge reaches all.
   * @returns The number of removed entries, once their files are gone, too.
   * @throws RuntimeError `ERR_CONFIG` when the text names none, or names a URL of another site.
   */
  async purgeNamed(text: string, site?: PurgingSite): Promise<number> {
    const purge = readPurge(text, site);
    this.onPurged(text, site?.name ?? null);
    return new Promise((resolve) => this.purge(purge, resolve));
  }

  /** As `purgeNamed`, for a purge that another server has told. */
  async purgeTold(text: string, site?: PurgingSite): Promise<number> {
    const purge = readPurge(text, site);
    return new Promise((resolve) => this.purge(purge, resolve));
  }

  /** Writes the committed entries. Then ends. */
  close(): Promise<void> {
    this.#closing ??= this.#store?.close() ?? Promise.resolve();
    return this.#closing;
  }
}

/** Reads the entries that an operator or a handler names. Refuses those that the site may not reach. */
function readPurge(text: string, site: PurgingSite | undefined): Purge {
  const purge = parsePurge(text);
  if (purge === null) throw toRefusal(text, PURGE_EXPECTED);
  if (site === undefined) return purge;
  const url = purge.kind === "url" ? purge.url : purge.kind === "prefix" ? purge.prefix : null;
  const within = ({ space, origin }: EntryPlace): boolean =>
    space === "" ? site.hasOrigin(origin) : siteOfSpace(space) === site.name;
  if (url !== null && !isWithin({ ...purge, within }, { page: url })) {
    throw toRefusal(text, `a host of the site ${site.name}`);
  }
  return { ...purge, within };
}

function toRefusal(text: string, expected: string): RuntimeError {
  const found = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);
  return new RuntimeError("ERR_CONFIG", `Cannot purge: found ${found}, expected ${expected}`);
}

/**
 * Whether a purge may cover the answers of a line, which are in the default space. Their tags are not known before they are
 * here.
 */
function mayCover(purge: Purge, id: string): boolean {
  if (purge.space !== undefined && purge.space !== "") return false;
  const [page = ""] = id.split("\n", 1);
  if (!isWithin(purge, { page })) return false;
  switch (purge.kind) {
    case "url": {
      const [url = ""] = purge.url.split(/[?#]/, 1);
      return id.startsWith(`${url}\n`);
    }
    case "prefix":
      return id.startsWith(purge.prefix.split("?", 1)[0] ?? "");
    case "tag":
    case "all":
      return true;
  }
}

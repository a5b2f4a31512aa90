import type { Status } from "../control/operations.ts";
import type { LiveFeed, LiveReader, Lookout } from "../live/live-feed.ts";
import type { LiveSnapshot } from "../live/snapshot.ts";
import type { Logger } from "../log/log.ts";
import type { Primary } from "../primary.ts";
import { ServerLook } from "./look-at-server.ts";
import { readStatus } from "./operations.ts";

export interface LiveViewsOptions {
  log: Logger;
  primary: Primary;
  mode: Status["mode"];
  /** Returns how many lines of the logs were lost. */
  lostLogLines: () => number;
}

/** The live views of a server. Their code is loaded with the first view. */
export class LiveViews {
  readonly #options: LiveViewsOptions;
  #feed: LiveFeed | null = null;

  constructor(options: LiveViewsOptions) {
    this.#options = options;
  }

  /** One look at the server, without rates. */
  async look(): Promise<LiveSnapshot> {
    const { lookOnce } = await import("../live/live-feed.ts");
    const look = new ServerLook({ measuresDelays: false });
    const facts = look.look(this.#options.primary, readStatus(this.#options));
    return lookOnce(facts, performance.now(), Date.now());
  }

  /** Sends a snapshot to the reader each second. Returns a function that ends it; `null`: there are too many readers. */
  async watch(reader: LiveReader): Promise<(() => void) | null> {
    const { LiveFeed: Feed } = await import("../live/live-feed.ts");
    this.#feed ??= new Feed(() => this.#open(), {
      onBug: (error) => this.#options.log.error({ err: error }, "live view failed: bug"),
    });
    return this.#feed.add(reader);
  }

  #open(): Lookout {
    const look = new ServerLook();
    return {
      look: () => look.look(this.#options.primary, readStatus(this.#options)),
      close: () => look.close(),
    };
  }
}

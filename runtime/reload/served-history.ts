import { readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod/mini";
import type { Logger } from "../log.ts";

/** More than anybody keeps on disk. */
const MOST_ENTRIES = 100;

/** A generation that has served, and the hash of its code. */
export interface Served {
  readonly id: string;
  readonly code: string;
}

const served = z.object({ id: z.string(), code: z.string() });

const schema = z.object({
  formatVersion: z.literal(1),
  /** Newest first, each generation once, where it served last. */
  served: z.array(served),
  /** What was built last of the handlers folder, and served. */
  built: z.nullable(served),
});

/**
 * Which generations have served with this state folder, over restarts: what a rollback goes back to, and whether what serves
 * is what the handlers folder holds. In `served.json` of the state folder.
 */
export class ServedHistory {
  readonly #path: string;
  readonly #log: Logger;
  readonly #persists: boolean;
  #state: z.infer<typeof schema>;

  /** @param options.persists Whether others learn of what serves here; otherwise it is only known while this lives. */
  constructor(stateDir: string, log: Logger, { persists }: { persists: boolean }) {
    this.#path = join(stateDir, "served.json");
    this.#log = log;
    this.#persists = persists;
    this.#state = this.#read();
  }

  /** Newest first: what serves is the first one. */
  get served(): readonly Served[] {
    return this.#state.served;
  }

  /** What was rolled back from: built last, and of other code than what serves. `null`: what was built last serves. */
  get rolledBackFrom(): string | null {
    const {
      served: [current],
      built,
    } = this.#state;
    return built === null || current === undefined || current.code === built.code ? null : built.id;
  }

  /**
   * From now on this one serves. Never rejects: that it cannot be written down is no reason not to serve.
   *
   * @param options.isBuilt It was just built, and not taken from the disk.
   */
  async add(now: Served, { isBuilt }: { isBuilt: boolean }): Promise<void> {
    const { served: before, built } = this.#state;
    const hadRolledBackFrom = this.rolledBackFrom;
    const others = before.filter(({ id }) => id !== now.id);
    this.#state = {
      formatVersion: 1,
      served: [now, ...others].slice(0, MOST_ENTRIES),
      built: isBuilt ? now : built,
    };
    if (isBuilt && hadRolledBackFrom !== null && now.code === built?.code) {
      this.#log.warn(
        { generation: now.id, rolledBackFrom: hadRolledBackFrom },
        "the code that was rolled back from serves again: the handlers folder still holds it",
      );
    }
    if (!this.#persists) return;
    try {
      await this.#write();
    } catch (error) {
      this.#log.warn(
        { err: error },
        "cannot write down what serves, for a rollback after a restart",
      );
    }
  }

  #read(): z.infer<typeof schema> {
    try {
      return schema.parse(JSON.parse(readFileSync(this.#path, "utf8")));
    } catch (error) {
      const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!isMissing) this.#log.warn({ err: error }, "cannot read what has served before");
      return { formatVersion: 1, served: [], built: null };
    }
  }

  /** In one step, as others see it. */
  async #write(): Promise<void> {
    const draft = `${this.#path}.${process.pid}`;
    await mkdir(dirname(this.#path), { recursive: true });
    await writeFile(draft, `${JSON.stringify(this.#state, null, 2)}\n`);
    await rename(draft, this.#path);
  }
}

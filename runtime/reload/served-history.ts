import { readFileSync } from "node:fs";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as z from "zod/mini";
import type { Logger } from "../log/log.ts";

/** Most entries of the history. */
const MOST_ENTRIES = 100;

/** A generation that served, with the hash of its code. */
export interface Served {
  readonly id: string;
  readonly code: string;
}

const served = z.object({ id: z.string(), code: z.string() });

const schema = z.object({
  formatVersion: z.literal(1),
  /** Generations that served, the newest first. Each is listed once, at its most recent time. */
  served: z.array(served),
  /** The last generation that was built from the handlers folder and served. */
  built: z.nullable(served),
});

/**
 * The generations that served with this state folder, also before a restart. Tells where a rollback goes, and whether
 * the serving code is that of the handlers folder. Stored as `served.json` in the state folder.
 */
export class ServedHistory {
  readonly #path: string;
  readonly #log: Logger;
  readonly #persists: boolean;
  #state: z.infer<typeof schema>;

  /** @param options.persists Whether to write the file; otherwise the history lasts as long as this object. */
  constructor(stateDir: string, log: Logger, { persists }: { persists: boolean }) {
    this.#path = join(stateDir, "served.json");
    this.#log = log;
    this.#persists = persists;
    this.#state = this.#read();
  }

  /** Generations that served, the newest first. The first one serves now. */
  get served(): readonly Served[] {
    return this.#state.served;
  }

  /** The last built generation, if a rollback replaced it with different code; `null`: the last built code serves. */
  get rolledBackFrom(): string | null {
    const {
      served: [current],
      built,
    } = this.#state;
    return built === null || current === undefined || current.code === built.code ? null : built.id;
  }

  /**
   * Records that a generation serves from now on. Never rejects: a failed write must not stop the server.
   *
   * @param options.isBuilt The generation was just built, not taken from the disk.
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
        "a rollback is undone: the handlers folder still holds the code that was rolled back",
      );
    }
    if (!this.#persists) return;
    try {
      await this.#write();
    } catch (error) {
      this.#log.warn(
        { err: error },
        "cannot record the serving generation: a rollback after a restart may miss it",
      );
    }
  }

  #read(): z.infer<typeof schema> {
    try {
      return schema.parse(JSON.parse(readFileSync(this.#path, "utf8")));
    } catch (error) {
      const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!isMissing) this.#log.warn({ err: error }, "cannot read the history of generations");
      return { formatVersion: 1, served: [], built: null };
    }
  }

  /** Replaces the file atomically. */
  async #write(): Promise<void> {
    const draft = `${this.#path}.${process.pid}`;
    await mkdir(dirname(this.#path), { recursive: true });
    await writeFile(draft, `${JSON.stringify(this.#state, null, 2)}\n`);
    await rename(draft, this.#path);
  }
}

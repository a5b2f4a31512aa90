import type { UpstreamGroupSetting } from "../config/upstream-settings.ts";
import type { Prepared } from "../lib/prepared.ts";
import { Group, type GroupStatus } from "./group.ts";
import { loadTls } from "./load-tls.ts";
import type { GroupParts, LoadedGroup } from "./members.ts";

export interface GroupsSettings {
  readonly upstreams: readonly UpstreamGroupSetting[];
  /** How long the requests of a server that is removed may take. */
  readonly drainGraceMs: number;
}

/**
 * All groups of upstream servers, by name. They outlive reloads: a group that the next config has as well stays the same
 * object, with its queue, its servers and their health.
 */
export class Groups {
  readonly #parts: GroupParts;
  readonly #entries = new Map<string, Entry>();
  /** Groups that the config no longer has, and the timers of their ends. */
  readonly #leaving = new Map<Group, NodeJS.Timeout>();

  constructor(parts: GroupParts) {
    this.#parts = parts;
  }

  /** Returns the group of a name; `undefined`: the present config has none. */
  find(name: string): Group | undefined {
    return this.#entries.get(name)?.group;
  }

  /**
   * Reads the files that the groups of the next config name. A changed file is a change of its group.
   *
   * @returns The next groups; `null`: nothing changes.
   * @throws RuntimeError `ERR_CONFIG` for a file that cannot be used.
   */
  async prepare({ upstreams, drainGraceMs: graceMs }: GroupsSettings): Promise<Prepared | null> {
    const all = await Promise.all(
      upstreams.map(async (setting) => ({ setting, graceMs, tls: await loadTls(setting) })),
    );
    const isSame =
      all.length === this.#entries.size &&
      all.every((loaded) => this.#entries.get(loaded.setting.name)?.text === toText(loaded));
    if (isSame) return null;
    return {
      commit: () => this.#commit(all),
      // Nothing is open yet.
      discard: () => Promise.resolve(),
    };
  }

  status(): GroupStatus[] {
    return [...this.#entries.values()].map(({ group }) => group.status());
  }

  /** Refuses the requests that wait, and ends all others and all connections at once. */
  destroy(): void {
    const all = [...this.#entries.values()].map(({ group }) => group);
    for (const group of [...all, ...this.#leaving.keys()]) group.destroy();
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    this.#leaving.clear();
  }

  #commit(all: readonly LoadedGroup[]): void {
    const names = new Set(all.map(({ setting }) => setting.name));
    for (const [name, entry] of this.#entries) {
      if (!names.has(name)) this.#remove(name, entry);
    }
    for (const loaded of all) {
      const { name } = loaded.setting;
      const text = toText(loaded);
      const entry = this.#entries.get(name);
      if (entry?.text === text) continue;
      const group = entry?.group ?? new Group(loaded, this.#parts);
      if (entry !== undefined) group.use(loaded);
      this.#entries.set(name, { group, text, graceMs: loaded.graceMs });
      this.#warn(loaded);
    }
  }

  /** Requests that began under the config before may still ask a group for servers. */
  #remove(name: string, { group, graceMs }: Entry): void {
    this.#entries.delete(name);
    group.rest();
    const end = setTimeout(() => {
      this.#leaving.delete(group);
      group.destroy();
    }, graceMs);
    end.unref();
    this.#leaving.set(group, end);
  }

  #warn({ setting: { name: group, tls, servers } }: LoadedGroup): void {
    const isEncrypted = servers.some(({ address }) => address.kind !== "unix" && address.tls);
    if (tls.verify || !isEncrypted) return;
    this.#parts.log.warn(
      { group },
      "the certificates of upstream servers are not verified: tls.verify is false",
    );
  }
}

interface Entry {
  readonly group: Group;
  /** Everything that the group was made of. */
  readonly text: string;
  readonly graceMs: number;
}

function toText(loaded: LoadedGroup): string {
  return JSON.stringify(loaded);
}

import type { GenerationInfo } from "../control/operations.ts";
import type { ServedCounts } from "../observe/served-counts.ts";
import type { LiveHandlers } from "./live-handlers.ts";
import type { StoredGenerations } from "./stored-generations.ts";

/** Returns the generations on disk, the newest first, with their state in this server. */
export async function listGenerations({
  stored,
  handlers,
  served,
}: {
  stored: StoredGenerations;
  handlers: LiveHandlers;
  served: ServedCounts;
}): Promise<GenerationInfo[]> {
  const all = await stored.list();
  const before = stored.findBefore(all, handlers.generation.manifest);
  return all.map((generation) => {
    const { id } = generation;
    const state = handlers.stateOf(id);
    return { ...generation, state, rollback: id === before, ...served.of(id) };
  });
}

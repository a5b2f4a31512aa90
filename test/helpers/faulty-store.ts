import type { Store } from "../../runtime/stores/store.ts";
import { StoreError } from "../../runtime/stores/store.ts";

/**
 * Returns a store whose next answers of `move` can be lost: the operation takes effect, and its promise rejects.
 *
 * @param store The store that carries out the operations.
 * @param loses Decides about a move, by the key of the entry that it writes.
 */
export function loseMoves(store: Store, loses: (key: string) => boolean): Store {
  return {
    get: (...args) => store.get(...args),
    put: (...args) => store.put(...args),
    delete: (...args) => store.delete(...args),
    add: (...args) => store.add(...args),
    list: (...args) => store.list(...args),
    count: (...args) => store.count(...args),
    close: () => store.close(),
    async move(space, from, to) {
      const version = await store.move(space, from, to);
      if (loses(to.key)) throw new StoreError("Cannot reach the store: its answer was lost");
      return version;
    },
  };
}

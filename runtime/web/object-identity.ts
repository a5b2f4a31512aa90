import * as workerThreads from "node:worker_threads";

/**
 * Lets a derived class put its private fields on an object that exists already.
 *
 * Fast objects carry their state this way: a private field is invisible, the object may have any prototype, and it
 * costs a twentieth of a `WeakMap`.
 */
// oxlint-disable-next-line typescript/no-extraneous-class -- a base class
export class Existing {
  constructor(target: object) {
    // oxlint-disable-next-line no-constructor-return -- a derived class continues with this object
    return target;
  }
}

/**
 * Makes `structuredClone(object)` throw `DataCloneError`, as it does for Node's own `Request` and `Response`.
 *
 * Node 20 has no such mark and clones its own objects to `{}`; fast objects behave the same there.
 */
export const markAsUncloneable: (object: object) => void =
  // Not in the types of Node 20.
  (workerThreads as { markAsUncloneable?: (object: object) => void }).markAsUncloneable ??
  (() => undefined);

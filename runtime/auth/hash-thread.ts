import { parentPort } from "node:worker_threads";
import { verifyPassword } from "./password-hash.ts";

/** One comparison, for the thread. */
export interface HashQuestion {
  password: string;
  hash: string;
}

/** The entry of the thread that compares passwords with hashes, one after the other. */
parentPort?.on("message", ({ password, hash }: HashQuestion) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- A thread, not a window.
  parentPort?.postMessage(verifyPassword(password, hash));
});

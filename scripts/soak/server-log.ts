import type { TestServer } from "../../test/helpers/start-server.ts";
import { none, type Figure } from "./soak.ts";

/** A figure for the errors in the server's log. Clients' faults are not logged as errors. */
export function checkLogs({ logs }: TestServer): Figure {
  const errors = logs.filter(({ level }) => level === "error" || level === "fatal");
  return none(
    "errors logged",
    errors.map((line) => JSON.stringify(line)),
  );
}

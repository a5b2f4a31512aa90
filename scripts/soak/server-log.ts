import type { TestServer } from "../../test/helpers/start-server.ts";
import type { Figure } from "./soak.ts";

/** A figure for the errors in the server's log. Clients' faults are not logged as errors. */
export function checkLogs({ logs }: TestServer): Figure {
  const errors = logs.filter(({ level }) => level === "error" || level === "fatal");
  const figure = { name: "errors logged", value: String(errors.length), bound: "0" };
  const [first] = errors;
  return first === undefined ? figure : { ...figure, breach: `logged: ${JSON.stringify(first)}` };
}

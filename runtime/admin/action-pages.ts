import { answerCommand } from "../control/run-command.ts";
import type { Operations } from "../control/operations.ts";
import type { Logger } from "../log/log.ts";
import { type AdminPage, type AdminReply, toText } from "./admin-page.ts";

/**
 * A page of another site cannot send this field without the consent of the server (CORS), and a form cannot send it at all. Its value
 * is the name of the action.
 */
export const ACTION_FIELD = "x-edgicorn-action";

const ACTIONS = [
  ["reload", "loads settings and handlers anew"],
  ["rollback", 'moves back to the handlers before; {"id": "..."} names others'],
  ["recycle", '{"worker": 3}: replaces a worker'],
  ["drain", '{"draining": true}: makes /readyz fail; false undoes it'],
] as const;

/**
 * Creates the pages of the buttons. They answer as the commands of the control socket.
 *
 * @param operations Returns the operations; `null`: the server starts.
 */
export function createActionPages(
  operations: () => Partial<Operations> | null,
  log: Logger,
): AdminPage[] {
  return ACTIONS.map(([name, about]) => ({
    path: `/${name}`,
    methods: ["POST"],
    access: "action",
    about,
    async answer({ fields, body }) {
      if (fields[ACTION_FIELD] !== name) {
        return toText(403, `Cannot ${name}: expected the field "${ACTION_FIELD}: ${name}"\n`);
      }
      const known = operations();
      if (known === null) return toText(503, "the server starts\n");
      const { status, value } = await answerCommand(known, { pathname: `/${name}`, body, log });
      return toJson(status, value);
    },
  }));
}

function toJson(status: number, value: unknown): AdminReply {
  return {
    status,
    contentType: "application/json",
    body: `${JSON.stringify(value, null, 2)}\n`,
  };
}

import type { LiveSnapshot } from "../../live/snapshot.ts";
import { find } from "./find.ts";

/** A command to the server, and its question to the operator. */
interface Command {
  readonly path: "reload" | "rollback" | "recycle" | "drain";
  readonly body?: unknown;
  readonly title: string;
  readonly text: string;
  readonly yes: string;
}

export interface Commands {
  /** Asks whether to replace a worker. */
  recycle(worker: number): void;
  /** Fits the buttons to the state of the server. */
  show(snapshot: LiveSnapshot): void;
}

const RELOAD: Command = {
  path: "reload",
  title: "Reload?",
  text: "Loads settings, certificates and handlers anew, beside those that serve. If anything is wrong, nothing changes.",
  yes: "Reload",
};

const ROLLBACK: Command = {
  path: "rollback",
  title: "Roll back?",
  text: "Moves to the last handlers that served with other code. The next reload builds the folder of the handlers anew.",
  yes: "Roll back",
};

const DRAIN: Command = {
  path: "drain",
  body: { draining: true },
  title: "Take out of rotation?",
  text: "Readiness probes fail, so that load balancers send nothing new. The server serves on until you put it back.",
  yes: "Take out",
};

const UNDRAIN: Command = {
  path: "drain",
  body: { draining: false },
  title: "Put back into rotation?",
  text: "Readiness probes succeed again.",
  yes: "Put back",
};

/** Creates the buttons of the page. Each asks before it acts. */
export function createCommands({ mayAct }: { mayAct: boolean }): Commands {
  const actions = find("actions");
  const dialog = find("confirm");
  const outcome = find("outcome");
  const [message, closing] = [outcome.querySelector("p"), outcome.querySelector("button")];
  closing?.addEventListener("click", () => {
    outcome.hidden = true;
  });
  let running = 0;
  let isDraining = false;

  const tell = (text: string): void => {
    if (message !== null) message.textContent = text;
    outcome.hidden = false;
  };

  const ask = (command: Command): void => {
    if (!(dialog instanceof HTMLDialogElement)) return;
    find("confirm-title").textContent = command.title;
    find("confirm-text").textContent = command.text;
    find("confirm-yes").textContent = command.yes;
    dialog.returnValue = "cancel";
    dialog.addEventListener(
      "close",
      () => {
        if (dialog.returnValue === "yes") void run(command);
      },
      { once: true },
    );
    dialog.showModal();
    // A stray Enter must not act.
    find("confirm-cancel").focus();
  };

  const run = async (command: Command): Promise<void> => {
    running++;
    fit();
    tell(`${command.yes}: under way`);
    try {
      tell(`${command.yes}: ${await send(command)}`);
    } catch {
      tell(`${command.yes}: the server has not answered. The list of events tells its outcome.`);
    } finally {
      running--;
      fit();
    }
  };

  const addButton = (label: string, commandOf: () => Command): HTMLButtonElement => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.disabled = !mayAct;
    button.addEventListener("click", () => ask(commandOf()));
    actions.append(button);
    return button;
  };
  const reload = addButton("Reload", () => RELOAD);
  const rollback = addButton("Roll back", () => ROLLBACK);
  const drain = addButton("Take out of rotation", () => (isDraining ? UNDRAIN : DRAIN));
  if (!mayAct) {
    const hint = document.createElement("span");
    hint.className = "quiet";
    hint.textContent = "Buttons need the setting adminToken.";
    actions.append(hint);
  }

  function fit(): void {
    for (const button of [reload, rollback, drain]) button.disabled = !mayAct || running > 0;
  }

  return {
    recycle: (worker) =>
      ask({
        path: "recycle",
        body: { worker },
        title: `Recycle worker ${worker}?`,
        text: "A fresh worker starts. Once it serves, this one finishes its requests and ends.",
        yes: "Recycle",
      }),
    show({ server }) {
      isDraining = server.phase === "draining";
      const label = isDraining ? "Put back into rotation" : "Take out of rotation";
      if (drain.textContent !== label) drain.textContent = label;
    },
  };
}

/** Sends a command. Returns its outcome in words. */
async function send({ path, body }: Command): Promise<string> {
  const response = await fetch(new URL(`/${path}`, location.origin), {
    method: "POST",
    headers: { "content-type": "application/json", "x-edgicorn-action": path },
    body: body === undefined ? "" : JSON.stringify(body),
  });
  const text = await response.text();
  const answer = parse(text);
  if (!response.ok) {
    const { error } = answer as { error?: { message?: string } };
    return `refused. ${error?.message ?? text}`;
  }
  const {
    generation,
    durationMs,
    warnings = [],
  } = answer as {
    generation?: string;
    durationMs?: number;
    warnings?: string[];
  };
  const done =
    generation === undefined
      ? "done"
      : `done, generation ${generation} serves (${durationMs ?? 0} ms)`;
  return [done, ...warnings.map((warning) => `warning: ${warning}`)].join("\n");
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

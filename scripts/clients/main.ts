import { once } from "node:events";
import { assertNever } from "../../runtime/lib/errors.ts";
import type { ClientTask } from "./client-process.ts";
import { echo } from "./echo.ts";
import { takeEvents } from "./events.ts";
import { openIdle } from "./idle.ts";

// `clients.ts` starts this process, and wrote the argument.
try {
  await run(JSON.parse(process.argv[2] ?? "") as ClientTask);
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}

async function run(task: ClientTask): Promise<void> {
  switch (task.kind) {
    case "echo":
      return print(await echo(task));
    case "events":
      return print(await takeEvents(task));
    case "idle": {
      const idle = await openIdle(task);
      print(idle.left());
      process.stdin.resume();
      await once(process.stdin, "end");
      print(idle.left());
      return idle.close();
    }
    default:
      return assertNever(task);
  }
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

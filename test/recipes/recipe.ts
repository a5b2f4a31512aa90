import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { builtProgram } from "../helpers/built-program.ts";
import { cleanEnvironment, TestServer } from "../helpers/start-server.ts";
import type { Owner } from "../helpers/temporary-folder.ts";

const HERE = import.meta.dirname;

export interface RecipeOptions {
  /** The program that builds the application, found in `node_modules/.bin`, and its arguments. */
  build?: readonly [program: string, ...args: string[]];
  /** More environment variables. */
  env?: Readonly<Record<string, string>>;
  /** Whether it listens for HTTPS too, with a development certificate. */
  https?: boolean;
}

/**
 * Copies a project of `apps/` to `.work/`, beside the packages, builds it as its developer would, starts the server in
 * it and waits until it listens. The copy is removed after the test.
 */
export async function startRecipe(
  t: Owner,
  name: string,
  { build, env = {}, https = false }: RecipeOptions = {},
): Promise<TestServer> {
  let server: TestServer | null = null;
  // Hooks run in the order in which they were set: the server stops before its folder goes.
  t.after(() => server?.stop());
  const dir = copyRecipe(t, name);
  const environment = {
    ...cleanEnvironment(),
    PATH: [join(HERE, "node_modules/.bin"), process.env["PATH"]].join(delimiter),
    // Nothing leaves this machine.
    ASTRO_TELEMETRY_DISABLED: "1",
    ...env,
  };
  if (build !== undefined) {
    const [program, ...args] = build;
    await promisify(execFile)(program, args, { cwd: dir, env: environment });
  }
  const flags = ["--http", "0", "--https", https ? "0" : "off", "--workers", "1"];
  const child = spawn(
    process.execPath,
    [builtProgram(), "start", ...flags, "--log-format", "json"],
    {
      cwd: dir,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    },
  );
  server = new TestServer(child, {
    dir,
    handlersDir: join(dir, "handlers"),
    publicDir: join(dir, "public"),
  });
  await server.until(({ msg }) => msg === "listening");
  return server;
}

/** Runs `edgicorn check` in a copy of a project of `apps/`. */
export async function checkRecipe(
  t: Owner,
  name: string,
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [builtProgram(), "check"], {
    cwd: copyRecipe(t, name),
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  // Of this event the types say only that it has arguments.
  const [code] = (await once(child, "close")) as [number | null];
  return { code, output };
}

function copyRecipe(t: Owner, name: string): string {
  const dir = join(HERE, ".work", name);
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  rmSync(dir, { recursive: true, force: true });
  cpSync(join(HERE, "apps", name), dir, { recursive: true });
  return dir;
}

/** A form with one file of so many bytes; its last byte is 7. */
export function fileForm(size: number): FormData {
  const form = new FormData();
  const bytes = new Uint8Array(size);
  bytes[size - 1] = 7;
  form.set("note", "zoë");
  form.set("file", new File([bytes], "naïve.bin"));
  return form;
}

/** How many pieces a body arrives in, and all of it as text. */
export async function readPieces(response: Response): Promise<{ pieces: number; text: string }> {
  let pieces = 0;
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of response.body ?? []) {
    pieces++;
    // Of a response's stream: bytes.
    text += decoder.decode(piece as Uint8Array, { stream: true });
  }
  return { pieces, text };
}

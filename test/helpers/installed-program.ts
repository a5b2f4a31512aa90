import { cpSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { builtProgram } from "./built-program.ts";

const ROOT = join(import.meta.dirname, "../..");
const PACKAGES = ["uWebSockets.js", "@btc-vision/uwebsockets.js"];

/**
 * Puts a handler and the compiled program into a folder, with `node_modules` as npm makes it, but for binaries of other
 * systems. The packages of uWebSockets.js are copies, the others are links.
 *
 * @returns The program's entry.
 */
export function installProgram(dir: string): string {
  builtProgram();
  mkdirSync(join(dir, "handlers"));
  writeFileSync(join(dir, "handlers/index.js"), `export default () => new Response("hello");`);
  writeFileSync(join(dir, "package.json"), `{ "type": "module" }`);
  const modules = join(ROOT, "node_modules");
  const target = join(dir, "node_modules");
  mkdirSync(join(target, "edgicorn"), { recursive: true });
  for (const part of ["dist", "package.json"]) {
    cpSync(join(ROOT, part), join(target, "edgicorn", part), { recursive: true });
  }
  const system = `uws_${process.platform}_${process.arch}_`;
  for (const name of PACKAGES) {
    cpSync(join(modules, name), join(target, name), {
      recursive: true,
      filter: (path) => !path.endsWith(".node") || path.includes(system),
    });
  }
  for (const name of readdirSync(modules)) {
    if (name === "uWebSockets.js" || name === "@btc-vision" || name.startsWith(".")) continue;
    symlinkSync(join(modules, name), join(target, name));
  }
  return join(target, "edgicorn/dist/main.js");
}

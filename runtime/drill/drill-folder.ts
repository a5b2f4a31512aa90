import { existsSync } from "node:fs";
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  realpath,
  rm,
  rmdir,
  symlink,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { makeStateDir } from "../config/make-state-dir.ts";
import { createDevelopmentCertificate } from "../tls/development-certificate.ts";

/** Paths of the drill's own handlers. The names do not clash with real ones. */
export const SLOW_PATH = "/edgicorn-drill-slow";
export const LEAK_PATH = "/edgicorn-drill-leak";

/** Duration of the slow handler. */
export const SLOW_MS = 100;

/** The drill's handlers, beside those of the operator. */
const PROBES = {
  "edgicorn-drill-slow.js": `export default async () => {
  await new Promise((resolve) => setTimeout(resolve, ${SLOW_MS}));
  return new Response("slow");
};\n`,
  "edgicorn-drill-leak.js": `const kept = [];
export default () => {
  kept.push(Buffer.alloc(1024 * 1024, 1));
  return new Response("kept");
};\n`,
} as const;

const BROKEN = "edgicorn-drill-broken.js";
const CHANGING = "edgicorn-drill-changing.js";

export interface DrillFolderOptions {
  /** The operator's folders. All paths are absolute. */
  readonly handlersDir: string;
  readonly stateDir: string;
  /** The project's folder. */
  readonly cwd: string;
}

/** Absolute paths of the original, without symbolic links. */
interface Paths {
  /** The handlers. */
  readonly source: string;
  /** The project. Messages name it instead of the copy. */
  readonly root: string;
  readonly cwd: string;
  /** The state folder. */
  readonly parent: string;
  readonly parentExisted: boolean;
}

/**
 * A folder in the state folder in which everything may be broken: a copy of the handlers, certificates, and a state
 * folder of its own. The operator's files are read, and never written.
 *
 * Handlers still find their imports beside the handlers folder (`../lib/db.ts`, packages): around the copy, the project
 * consists of links to the real files.
 */
export class DrillFolder {
  readonly dir: string;
  readonly handlersDir: string;
  readonly certsDir: string;
  readonly stateDir: string;
  readonly #paths: Paths;
  #changes = 0;

  private constructor(dir: string, paths: Paths) {
    this.dir = dir;
    this.handlersDir = join(dir, "project", relative(paths.root, paths.source));
    this.certsDir = join(dir, "certs");
    this.stateDir = join(dir, "state");
    this.#paths = paths;
  }

  /** @throws ERR_CONFIG or the error of `node:fs` when it cannot be written; nothing is left behind then. */
  static async open(options: DrillFolderOptions): Promise<DrillFolder> {
    const parentExisted = existsSync(options.stateDir);
    makeStateDir(options.stateDir);
    const parent = await realpath(options.stateDir);
    const dir = await mkdtemp(join(parent, "drill-"));
    // Resolve symbolic links here: a copy of a link would lead to the operator's files.
    // A project of a Python application needs no such folder. The drill's own handlers get one.
    const hasHandlers = existsSync(options.handlersDir);
    const source = hasHandlers
      ? await realpath(options.handlersDir)
      : join(await realpath(dirname(options.handlersDir)), basename(options.handlersDir));
    const cwd = await realpath(options.cwd);
    const root = isBelow(source, cwd) ? cwd : dirname(source);
    const folder = new DrillFolder(dir, { source, root, cwd, parent, parentExisted });
    const { handlersDir } = folder;
    try {
      await mirror({ from: root, to: join(dir, "project"), source, without: parent });
      await mkdir(handlersDir, { recursive: true });
      if (hasHandlers) {
        await cp(source, handlersDir, {
          recursive: true,
          filter: (path) => path !== parent,
        });
      }
      for (const [name, text] of Object.entries(PROBES)) {
        await writeFile(join(handlersDir, name), text, { flag: "wx" });
      }
      await folder.renewCertificate();
      return folder;
    } catch (error) {
      await folder.remove();
      throw error;
    }
  }

  /** Writes a handler that does not compile. Returns its name. */
  async breakHandlers(): Promise<string> {
    await writeFile(join(this.handlersDir, BROKEN), "export default (;\n");
    return BROKEN;
  }

  async mendHandlers(): Promise<void> {
    await rm(join(this.handlersDir, BROKEN), { force: true });
  }

  /** Makes the next build differ from all earlier ones. */
  async changeHandlers(): Promise<void> {
    const text = `export default () => new Response("${++this.#changes}");\n`;
    await writeFile(join(this.handlersDir, CHANGING), text);
  }

  /** Replaces the key and its certificate by new ones. */
  async renewCertificate(): Promise<void> {
    await rm(this.certsDir, { recursive: true, force: true });
    await createDevelopmentCertificate(this.certsDir, { now: new Date() });
  }

  /** Rewrites a message about the copy into one about the operator's files. */
  toOriginal(text: string): string {
    const copy = join(this.dir, "project");
    const { cwd, root } = this.#paths;
    return text
      .replaceAll(copy + sep, root + sep)
      .replaceAll(relative(cwd, copy) + sep, relativeFolder(cwd, root));
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    await rm(this.dir, { recursive: true, force: true });
    // Other processes may have begun to use it.
    const { parent, parentExisted } = this.#paths;
    if (!parentExisted) await rmdir(parent).catch(() => {});
  }
}

interface Mirror {
  readonly from: string;
  readonly to: string;
  /** The folder that gets a copy instead of a link; below `from`. */
  readonly source: string;
  /** Left out: the folder that contains the drill's folder. */
  readonly without: string;
}

/** Fills a folder with links to the entries of another one, down to the place of the copy. */
async function mirror({ from, to, source, without }: Mirror): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from)) {
    const path = join(from, entry);
    if (path === source || path === without) continue;
    if (isBelow(source, path)) await mirror({ from: path, to: join(to, entry), source, without });
    else await symlink(path, join(to, entry));
  }
}

/** Returns `""` for the folder itself, else its path with a separator at the end. */
function relativeFolder(from: string, to: string): string {
  const path = relative(from, to);
  return path === "" ? "" : path + sep;
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

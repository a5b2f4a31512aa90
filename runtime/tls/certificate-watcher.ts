import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { type CertificateSource, findAllCertificateFiles } from "./certificate-files.ts";

/** Time between two looks at the files. File systems of other machines and links report no events. */
const LOOK_MS = 10_000;

/** Time after an event in which a program writes the other file of a pair. */
const SETTLE_MS = 200;

export interface CertificateWatcherOptions {
  /** Returns the folder of the certificates; `null`: there is no TLS port. */
  certsDir: () => string | null;
  /** Returns the certificates of sites, which are looked at every 10 s. Default: none. */
  ofSites?: () => readonly CertificateSource[];
  /** Called when a file was added, removed or changed. Must not reject. */
  onChange: () => Promise<void>;
}

/**
 * Tells when the files of the certificates change, by a look every 10 s, and at once where the file system reports events.
 * Follows links, so that it sees a renewal by certbot and a new version of a Kubernetes secret.
 */
export class CertificateWatcher {
  readonly #options: CertificateWatcherOptions;
  #state: string | null = null;
  #timer: NodeJS.Timeout | undefined;
  #events: { dir: string; watcher: FSWatcher } | null = null;
  #isClosed = false;

  constructor(options: CertificateWatcherOptions) {
    this.#options = options;
  }

  /** Begins to watch. Changes since this call are told. */
  async start(): Promise<void> {
    this.#state = await this.#read();
    this.#watch();
    this.#lookIn(LOOK_MS);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#events?.watcher.close();
    this.#events = null;
  }

  #lookIn(delayMs: number): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#look(), delayMs).unref();
  }

  async #look(): Promise<void> {
    const state = await this.#read();
    if (this.#isClosed) return;
    this.#watch();
    if (state !== this.#state) {
      this.#state = state;
      await this.#options.onChange();
    }
    this.#lookIn(LOOK_MS);
  }

  /** Watches the folder. It may be another one since the last call, or be made only now. */
  #watch(): void {
    const dir = this.#options.certsDir();
    if (this.#events?.dir === dir) return;
    this.#events?.watcher.close();
    this.#events = null;
    if (dir === null) return;
    try {
      const watcher = watch(dir, { persistent: false }, () => this.#lookIn(SETTLE_MS));
      // The folder is gone. The looks go on.
      watcher.on("error", () => watcher.close());
      this.#events = { dir, watcher };
    } catch {
      // There is no such folder, or no more watches are allowed. The looks are enough.
    }
  }

  /** Describes the files: two equal texts mean that no file was changed. */
  async #read(): Promise<string> {
    const dir = this.#options.certsDir();
    if (dir === null) return "";
    try {
      const ofSites = this.#options.ofSites?.() ?? [];
      const { pairs } = await findAllCertificateFiles([{ dir }, ...ofSites]);
      const paths = pairs.flatMap(({ certPath, keyPath }) => [certPath, keyPath]);
      const facts = await Promise.all(paths.map(describeFile));
      return [dir, ...facts].join("\n");
    } catch {
      // The folder cannot be read at present.
      return `${dir}?`;
    }
  }
}

async function describeFile(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(path);
    return `${path} ${ino} ${size} ${mtimeMs}`;
  } catch {
    return path;
  }
}

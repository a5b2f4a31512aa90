import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { SourceWatcher, type WatchTargets } from "../../runtime/server/source-watcher.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const NEVER = Infinity;

/** A project that is watched: its handlers, `tsconfig.json`, `public`, and the files that `sources` names. */
class Project {
  readonly dir: string;
  readonly errors: unknown[] = [];
  readonly watcher: SourceWatcher;
  reloads = 0;
  /** Runs within a reload. */
  build: () => void = () => {};
  sources: readonly string[] = [];
  readonly #events = new EventEmitter();

  constructor(t: TestContext, { sinceMs = NEVER }: { sinceMs?: number } = {}) {
    this.dir = temporaryFolder(t);
    for (const path of ["handlers/a.ts", "handlers/deep/b.ts", "lib/first.ts", "lib/other.ts"]) {
      this.write(path);
    }
    this.watcher = new SourceWatcher({
      sinceMs,
      targets: () => this.#targets(),
      reload: async () => {
        this.reloads++;
        this.build();
        await Promise.resolve();
        // Once the watcher has gone on.
        setImmediate(() => this.#events.emit("reloaded"));
      },
      onError: (error) => this.errors.push(error),
    });
    t.after(() => this.watcher.close());
  }

  at(path: string): string {
    return join(this.dir, path);
  }

  write(path: string): void {
    mkdirSync(dirname(this.at(path)), { recursive: true });
    writeFileSync(this.at(path), String(Math.random()));
  }

  /** Resolves when a reload has ended that began after the change. */
  async reloadsAfter(change: () => void): Promise<void> {
    const reloaded = once(this.#events, "reloaded");
    change();
    await reloaded;
  }

  #targets(): WatchTargets {
    return {
      trees: [this.at("handlers"), ...this.sources.map((path) => this.at(path))],
      files: [this.at("tsconfig.json"), this.at("public"), this.at("deep/er/config.ts")],
      lists: [this.at("sites")],
    };
  }
}

describe("SourceWatcher", { timeout: 60_000 }, () => {
  it("reloads for each kind of change that an editor or a tool makes", async (t) => {
    const project = new Project(t);
    project.sources = ["lib/first.ts"];
    await project.reloadsAfter(() => project.write("handlers/a.ts"));
    const changes: (() => void)[] = [
      () => project.write("handlers/new.ts"),
      () => project.write("handlers/deep/b.ts"),
      // A folder with all that is in it, and then a file in it.
      () => project.write("handlers/later/deeper/c.ts"),
      () => project.write("handlers/later/deeper/c.ts"),
      () => rmSync(project.at("handlers/later/deeper/c.ts")),
      () => project.write("lib/first.ts"),
      // An atomic save.
      () => {
        project.write("outside.tmp");
        utimesSync(project.at("outside.tmp"), 1, 1);
        renameSync(project.at("outside.tmp"), project.at("lib/first.ts"));
      },
      () => project.write("lib/first.ts"),
      () => project.write("tsconfig.json"),
      () => mkdirSync(project.at("public")),
      () => rmSync(project.at("public"), { recursive: true }),
      () => project.write("deep/er/config.ts"),
      () => rmSync(project.at("handlers"), { recursive: true }),
      () => project.write("handlers/again.ts"),
      () => project.write("handlers/again.ts"),
      // A deployment by a link.
      () => {
        rmSync(project.at("handlers"), { recursive: true });
        project.write("releases/1/a.ts");
        symlinkSync("releases/1", project.at("handlers"));
      },
      () => project.write("releases/1/a.ts"),
    ];
    for (const change of changes) await project.reloadsAfter(change);
    assert.deepEqual(project.errors, []);
  });

  it("reloads when names in a listed folder come and go, and not for files below them", async (t) => {
    const project = new Project(t);
    await project.reloadsAfter(() => mkdirSync(project.at("sites")));
    await project.reloadsAfter(() => mkdirSync(project.at("sites/a.example")));
    assert.equal(project.reloads, 2);
    project.write("sites/a.example/page.txt");
    project.write("sites/a.example/deep/page.txt");
    await project.reloadsAfter(() => rmSync(project.at("sites/a.example"), { recursive: true }));
    assert.equal(project.reloads, 3);
    assert.deepEqual(project.errors, []);
  });

  it("reloads once for many changes, and not for those that do not count", async (t) => {
    const project = new Project(t);
    await project.reloadsAfter(() => {
      for (let n = 0; n < 200; n++) project.write(`handlers/many/${n}.ts`);
      renameSync(project.at("handlers/deep"), project.at("handlers/moved"));
    });
    assert.equal(project.reloads, 1);
    for (const path of ["lib/other.ts", "handlers/.a.ts.swp", "handlers/a.ts~", "handlers/4913"]) {
      project.write(path);
    }
    project.write("handlers/node_modules/x/index.js");
    // Events come in order: were one of those above a reason, it would be part of this reload or come before it.
    await project.reloadsAfter(() => project.write("handlers/a.ts"));
    assert.equal(project.reloads, 2);
  });

  it("loses no save from before it was made, and none during a build", async (t) => {
    const project = new Project(t, { sinceMs: Date.now() });
    await project.reloadsAfter(() => {});
    project.build = () => {
      project.build = () => {};
      project.write("handlers/a.ts");
    };
    await project.reloadsAfter(() => project.write("handlers/a.ts"));
    await project.reloadsAfter(() => {});
    assert.equal(project.reloads, 3);
    // The build imports another file, which changes before it is watched.
    project.build = () => {
      project.build = () => {};
      project.sources = ["lib/other.ts"];
      project.write("lib/other.ts");
    };
    await project.reloadsAfter(() => project.write("handlers/a.ts"));
    await project.reloadsAfter(() => {});
    assert.equal(project.reloads, 5);
  });

  it("loses no save during a build when the clock of the file system is behind", async (t) => {
    const project = new Project(t);
    project.build = () => {
      project.build = () => {};
      project.sources = ["lib/late.ts"];
      project.write("lib/late.ts");
    };
    const { now } = Date;
    t.mock.method(Date, "now", () => now() + 40);
    await project.reloadsAfter(() => project.write("handlers/a.ts"));
    await project.reloadsAfter(() => {});
    assert.equal(project.reloads, 2);
  });

  it("does not reload for files that are older than the process", async (t) => {
    const project = new Project(t, { sinceMs: Date.now() + 60_000 });
    await project.reloadsAfter(() => project.write("handlers/a.ts"));
    assert.equal(project.reloads, 1);
  });

  it("does nothing once it is closed", async (t) => {
    const project = new Project(t);
    project.write("handlers/a.ts");
    project.watcher.close();
    project.write("handlers/a.ts");
    await new Promise(setImmediate);
    assert.equal(project.reloads, 0);
  });
});

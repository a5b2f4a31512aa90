// Completes package-lock.json: `node scripts/complete-lock.mjs [FILE]`, after each change of the dependencies.
// npm leaves binaries of other platforms out of the lock file if its registry lacks them, as a mirror may. `npm ci` then
// refuses the file everywhere. The packages that choose among the binaries have their names and exact versions. This
// script adds them; npm fetches each only where it fits.
import { readFileSync, writeFileSync } from "node:fs";

const OS =
  /(?:^|-)(android|aix|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)(?=-|$)/;
const CPU = /-(arm64|arm|ia32|loong64|mips64el|ppc64|riscv64|s390x|x64)(?=-|$)/;

const path = process.argv[2] ?? new URL("../package-lock.json", import.meta.url);
const lock = JSON.parse(readFileSync(path, "utf8"));
const added = [];
for (const [owner, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const own = `${owner}/node_modules/${name}`;
    const shared = `node_modules/${name}`;
    if (own in lock.packages || shared in lock.packages) continue;
    const platform = name.split("/").at(-1);
    const os = OS.exec(platform)?.[1];
    const cpu = CPU.exec(platform)?.[1];
    if (os === undefined || cpu === undefined) continue;
    lock.packages[shared] = {
      version,
      cpu: [cpu],
      ...(dev === true && { dev }),
      ...(os === "linux" && { libc: [platform.includes("musl") ? "musl" : "glibc"] }),
      optional: true,
      os: [os],
    };
    added.push(name);
  }
}
// The order in which npm writes them.
const byPath = ([a], [b]) => (a < b ? -1 : 1);
lock.packages = Object.fromEntries(Object.entries(lock.packages).toSorted(byPath));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`added ${added.length}\n`);

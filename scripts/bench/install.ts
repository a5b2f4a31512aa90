import { spawnSync } from "node:child_process";

export interface InstallOptions {
  readonly peersFolder: string;
  readonly debianPackages: readonly string[];
  readonly say: (line: string) => void;
}

/**
 * Installs the tools for the rows: Debian packages, and the npm packages that `peers/package.json` names.
 *
 * Package scripts do not run: the platform packages bring their programs with them, and nothing is fetched except from
 * the registry. There is no lock file: one made on this platform would lack the other platforms.
 */
export function installPeers({ peersFolder, debianPackages, say }: InstallOptions): void {
  installDebianPackages(debianPackages, say);
  say("npm packages into .bench/peers ...");
  const args = [
    "install",
    "--ignore-scripts",
    "--no-package-lock",
    "--include=optional",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
  ];
  const { status } = spawnSync("npm", args, { cwd: peersFolder, stdio: "inherit" });
  if (status !== 0) say("npm could not install them all: the rows that need them are skipped");
}

function installDebianPackages(packages: readonly string[], say: (line: string) => void): void {
  if (packages.length === 0) return;
  // uWSGI needs its plugin besides.
  const plugins = packages.includes("uwsgi") ? ["uwsgi-plugin-python3"] : [];
  const names = [...packages, ...plugins];
  const install = ["install", "--yes", "--no-install-recommends", ...names];
  if (process.getuid?.() !== 0) {
    say(`Not root. To install the missing packages: sudo apt-get ${install.join(" ")}`);
    return;
  }
  say(`Debian packages: ${packages.join(", ")} ...`);
  const options = {
    stdio: "inherit" as const,
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  spawnSync("apt-get", ["update"], options);
  const { status } = spawnSync("apt-get", install, options);
  if (status !== 0) say("apt-get could not install them all: the rows that need them are skipped");
}

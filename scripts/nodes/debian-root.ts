import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CACHE } from "./fetch-node.ts";

/** glibc 2.41, which is new enough for every binary of uWebSockets.js. */
const SUITE = "trixie";

/** Node 25 needs libatomic1; the tests need the others. */
const PACKAGES = [
  "ca-certificates",
  "curl",
  "git",
  "iproute2",
  "libatomic1",
  "openssl",
  "procps",
  "python3-minimal",
];

/**
 * Returns the folder of a Debian 13 root, made by debootstrap on first use: 380 MB, half a minute. `DEBIAN_ROOT` names
 * another folder. Only root may make and enter it.
 *
 * @throws When debootstrap is missing or fails.
 */
export function openDebianRoot(): string {
  const root = process.env["DEBIAN_ROOT"] ?? join(CACHE, SUITE);
  if (existsSync(join(root, "usr/bin/openssl"))) return root;
  mkdirSync(root, { recursive: true });
  const options = ["--variant=minbase", `--include=${PACKAGES.join(",")}`];
  try {
    execFileSync("debootstrap", [...options, SUITE, root], { stdio: "inherit" });
  } catch (error) {
    throw new Error(
      `Cannot make a Debian 13 root in ${root}: expected debootstrap to work (as root; apt-get install debootstrap)`,
      { cause: error },
    );
  }
  for (const file of ["/etc/hosts", "/etc/resolv.conf"]) copyFileSync(file, join(root, file));
  return root;
}

/**
 * Returns the command that runs another one in a Debian root, in the project's folder. The machine's
 * project, temporary folder, cache of Nodes, `/proc`, `/dev` and `/sys` are mounted there. The mounts are in a namespace of
 * their own, and end with the command.
 */
export function insideDebian(
  root: string,
  { project, command }: { project: string; command: readonly string[] },
): string[] {
  const script = `
    set -e
    root=$1 project=$2
    for dir in "$project" "$3" "$4"; do
      mkdir -p "$root$dir"
      mount --bind "$dir" "$root$dir"
    done
    shift 4
    for dir in proc dev sys; do mount --rbind /$dir "$root/$dir"; done
    exec chroot "$root" sh -c 'cd "$1"; shift; exec "$@"' sh "$project" "$@"`;
  const own = ["unshare", "--mount", "--propagation", "private"];
  return [...own, "sh", "-c", script, "sh", root, project, tmpdir(), CACHE, ...command];
}

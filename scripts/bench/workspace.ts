import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { PUBLIC_FILES, publicFileText } from "./payloads.ts";

/** The folders of the benchmark. All but the first are outside version control. */
export interface Workspace {
  readonly projectFolder: string;
  /** A copy of `peers/` with installed packages: Node finds packages by the place of a source. */
  readonly peersFolder: string;
  /** Holds the files of the static cases. */
  readonly publicFolder: string;
  readonly certificatesFolder: string;
  readonly resultsFolder: string;
  readonly profilesFolder: string;
}

/** Makes the folders and refreshes the copy of `peers/`. Installed packages stay. */
export async function prepareWorkspace(): Promise<Workspace> {
  const projectFolder = fileURLToPath(new URL("../../", import.meta.url));
  const benchFolder = join(projectFolder, ".bench");
  const workspace = {
    projectFolder,
    peersFolder: join(benchFolder, "peers"),
    publicFolder: join(benchFolder, "public"),
    certificatesFolder: join(benchFolder, "certs"),
    resultsFolder: join(benchFolder, "results"),
    profilesFolder: join(benchFolder, "profiles"),
  };
  await mkdir(workspace.certificatesFolder, { recursive: true, mode: 0o700 });
  await mkdir(workspace.resultsFolder, { recursive: true });
  await cp(fileURLToPath(new URL("peers/", import.meta.url)), workspace.peersFolder, {
    recursive: true,
  });
  await mkdir(workspace.publicFolder, { recursive: true });
  for (const file of Object.values(PUBLIC_FILES))
    await writeFile(join(workspace.publicFolder, file.name), publicFileText(file));
  return workspace;
}

/** Makes a folder for this run, to be removed after it. Not in the project: paths of sockets must be short. */
export async function createRunFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "edgicorn-bench-"));
}

export interface Certificate {
  readonly certificate: string;
  readonly certificateKey: string;
}

/** Returns the certificate of all servers, for `localhost`. Makes a new one when it is missing or about to expire. */
export async function ensureCertificate(folder: string, openssl: string): Promise<Certificate> {
  const certificate = join(folder, "localhost.crt");
  const certificateKey = join(folder, "localhost.key");
  if (!(await isFresh(certificate, openssl))) {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
    const files = ["-keyout", certificateKey, "-out", certificate];
    await run(openssl, ["req", "-x509", "-days", "365", ...key, ...names, ...files]);
  }
  return { certificate, certificateKey };
}

const run = promisify(execFile);
const DAY_SECONDS = 86_400;

async function isFresh(certificate: string, openssl: string): Promise<boolean> {
  if (!existsSync(certificate)) return false;
  const check = ["x509", "-checkend", String(DAY_SECONDS), "-noout", "-in", certificate];
  return run(openssl, check).then(
    () => true,
    () => false,
  );
}

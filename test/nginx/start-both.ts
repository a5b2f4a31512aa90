import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { eventually } from "../helpers/eventually.ts";
import { startServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { ask, type Answer, type Question } from "./ask.ts";
import { toEdgicornConfig } from "./edgicorn-config.ts";
import { toNginxConfig } from "./nginx-config.ts";
import { startNginx } from "./nginx-server.ts";
import { FILES } from "./requests.ts";

/** The user `ada` with the password `lovelace`. */
export const HTPASSWD = "ada:$apr1$abcdefgh$prTPVrJcZSUV5JTgFyzIZ/\n";

export interface Both {
  nginx: (question: Question) => Promise<Answer>;
  ours: (question: Question) => Promise<Answer>;
}

/** Files that both servers compress. */
const COMPRESSED = ["/app.js", "/style.css", "/data.json"];

/** Starts Nginx and Edgicorn with equivalent configurations and the same files. */
export async function startBoth(t: TestContext): Promise<Both> {
  const dir = temporaryFolder(t);
  const htpasswd = join(dir, "htpasswd");
  writeFileSync(htpasswd, HTPASSWD);
  const root = join(dir, "public");
  for (const [name, content] of Object.entries(FILES)) {
    const file = join(root, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  const certs = join(dir, "certs");
  mkdirSync(certs);
  makeCertificate({ base: join(certs, "default"), altNames: "DNS:*.example.test" });
  const server = await startServer(t, {
    handlers: {},
    publicFromFile: true,
    https: true,
    files: { "edgicorn.config.ts": toEdgicornConfig({ htpasswd, root }) },
    flags: ["--certs", certs],
    workers: 1,
  });
  const certificates = {
    certificate: join(certs, "default.crt"),
    key: join(certs, "default.key"),
  };
  const sockets = await startNginx(t, (own) =>
    toNginxConfig(own, { root, htpasswd, ...certificates }),
  );
  const both: Both = {
    nginx: (question) =>
      ask({ socketPath: question.tls === true ? sockets.https : sockets.http }, question),
    ours: (question) =>
      ask({ port: server.port(question.tls === true ? "https" : "http") }, question),
  };
  // The first request for a file gets it as it is, while its compressed form is made.
  for (const path of COMPRESSED) {
    for (const coding of ["gzip", "br"]) {
      await eventually(t, async () => {
        const { fields } = await both.ours({ path, headers: { "accept-encoding": coding } });
        return fields["content-encoding"] === coding;
      });
    }
  }
  return both;
}

import { toNameGroups } from "../config/acme.ts";
import type { Renewer } from "../acme/renewer.ts";
import type { OpenServer } from "./open.ts";
import type { LiveCertificates } from "./watch-certificates.ts";

/** The orders of a server's certificates. */
export interface LiveOrders {
  /** Follows the present settings. Never rejects. */
  update: () => Promise<void>;
  close: () => Promise<void>;
}

/** Orders certificates as the settings ask for. Loads the code for it only then. */
export function orderCertificates(
  { log, primary }: Pick<OpenServer, "log" | "primary">,
  certificates: LiveCertificates,
): LiveOrders {
  let renewer: Renewer | null = null;
  let key = "";
  let isClosed = false;
  let last: Promise<void> = Promise.resolve();

  async function close(): Promise<void> {
    await renewer?.close();
    renewer = null;
  }

  async function update(): Promise<void> {
    const { acme, sites, certsDir, httpPort, mode } = primary.config;
    const groups = acme === null ? [] : toNameGroups(acme, sites);
    const next = JSON.stringify([acme, groups, certsDir]);
    if (next === key || isClosed) return;
    key = next;
    await close();
    if (acme === null) return;
    if (mode === "development" || httpPort === 0) {
      const reason =
        httpPort === 0 ? "http is 0, a port that no authority finds" : "dev orders none";
      log.info(`certificates are not ordered: ${reason}`);
      return;
    }
    const { Renewer: Created } = await import("../acme/renewer.ts");
    const { email, directory } = acme;
    renewer = new Created({
      settings: { certsDir, email, directory, groups },
      log,
      setTokens: (tokens) => primary.setChallengeTokens(tokens),
      onIssued: certificates.reload,
    });
    await renewer.start();
  }

  return {
    update() {
      last = last.then(update);
      return last;
    },
    async close() {
      isClosed = true;
      await last;
      await close();
    },
  };
}

import { toError } from "../lib/errors.ts";
import { isDue } from "../tls/check-certificate.ts";
import type { ServerCertificate } from "../tls/tls.ts";
import { CertificateWatcher } from "../tls/certificate-watcher.ts";
import { listSiteCertificates } from "../config/sites.ts";
import { loadServerCertificates } from "./load-certificates.ts";
import type { OpenServer } from "./open.ts";

/** The certificates of a server, which change while it runs. */
export interface LiveCertificates {
  /** Loads the certificates again. Logs the outcome, and never rejects. */
  reload: () => Promise<void>;
  close: () => void;
}

/**
 * Loads certificates again when their files change. Files that cannot be used change nothing, and the log has the reason.
 */
export function watchCertificates({
  log,
  primary,
}: Pick<OpenServer, "log" | "primary">): LiveCertificates {
  const certsDir = (): string | null =>
    primary.config.httpsPort === null ? null : primary.config.certsDir;
  const watchedDir = (): string | null => (primary.config.watchCerts ? certsDir() : null);
  const reload = async (): Promise<void> => {
    try {
      const changed = await primary.replaceCertificates(async () => {
        return certsDir() === null ? null : await loadServerCertificates(primary.config);
      });
      if (changed === null) return;
      const { certificates, warnings } = changed;
      for (const warning of warnings) log.warn(warning);
      const names = certificates.flatMap((certificate) => certificate.names);
      const until = new Date(Math.min(...certificates.map(({ notAfterMs }) => notAfterMs)));
      log.info({ names, notAfter: until.toISOString() }, "certificates changed");
    } catch (error) {
      log.warn(`certificates on disk are not used, the old ones serve: ${toError(error).message}`);
    }
  };
  const watcher = new CertificateWatcher({
    certsDir: watchedDir,
    ofSites: () => listSiteCertificates(primary.config),
    onChange: reload,
  });
  void watcher.start();
  const daily = setInterval(() => {
    for (const line of describeDue(primary.certificates, Date.now())) log.warn(line);
  }, DAY_MS).unref();
  return {
    reload,
    close() {
      clearInterval(daily);
      watcher.close();
    },
  };
}

const DAY_MS = 24 * 3_600_000;

/** Returns a warning for each certificate whose renewal is due. Certificates for development are renewed at a start. */
export function describeDue(
  certificates: readonly Pick<
    ServerCertificate,
    "certPath" | "origin" | "notBeforeMs" | "notAfterMs"
  >[],
  nowMs: number,
): string[] {
  return certificates
    .filter((certificate) => certificate.origin === "operator" && isDue(certificate, nowMs))
    .map(({ certPath, notAfterMs }) => {
      const verb = notAfterMs < nowMs ? "expired" : "expires";
      return `${certPath} ${verb} on ${new Date(notAfterMs).toISOString().slice(0, 10)}: its renewal is due`;
    });
}

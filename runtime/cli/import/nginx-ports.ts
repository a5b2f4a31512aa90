import type { ServerBlock } from "./nginx-servers.ts";
import type { Report } from "./report.ts";
import type { Section } from "./section.ts";

/** The ports of the new server; `null`: it has none of this kind. */
interface Ports {
  http: number | null;
  https: number | null;
}

/**
 * Sets the ports and the address of the new server, which has one port for HTTP and one for HTTPS.
 *
 * @returns The servers that these ports reach.
 */
export function convertPorts(
  servers: readonly ServerBlock[],
  { top, report }: { top: Section; report: Report },
): ServerBlock[] {
  const ports = pickPorts(servers);
  if (servers.length > 0) {
    top.set("http", ports.http ?? false);
    top.set("https", ports.https ?? false);
  }
  const reached: ServerBlock[] = [];
  for (const server of servers) {
    const kept = server.listens.filter((listen) => isKept(listen, ports));
    for (const listen of server.listens) {
      if (kept.includes(listen)) continue;
      const only = `there is one port for HTTP${listen.isTls ? "S" : ""}`;
      report.lost(
        listen.directive,
        kept.length > 0 ? only : `${only}: give the site of this server a host name of its own`,
      );
    }
    if (kept.length > 0) reached.push(server);
  }
  setHost(reached, { ports, top, report });
  return reached;
}

function pickPorts(servers: readonly ServerBlock[]): Ports {
  const listens = servers.flatMap((server) => server.listens);
  const pick = (isTls: boolean, usual: number): number | null => {
    const ports = listens.filter((listen) => listen.isTls === isTls).map(({ port }) => port);
    return ports.includes(usual) ? usual : (ports[0] ?? null);
  };
  return { http: pick(false, 80), https: pick(true, 443) };
}

function isKept({ port, isTls }: { port: number; isTls: boolean }, ports: Ports): boolean {
  return port === (isTls ? ports.https : ports.http);
}

function setHost(
  servers: readonly ServerBlock[],
  { ports, top, report }: { ports: Ports; top: Section; report: Report },
): void {
  const listens = servers
    .flatMap((server) => server.listens)
    .filter((listen) => isKept(listen, ports));
  const hosts = new Set(listens.map(({ host }) => host));
  const [host] = hosts;
  if (host !== undefined && host !== "*" && hosts.size === 1) top.set("host", host);
  if (hosts.size < 2) return;
  for (const { directive, host: own } of listens) {
    if (own !== "*") report.changed(directive, "there is one address: the server listens on all");
  }
}

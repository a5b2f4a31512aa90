import type { HostRedirect } from "./nginx-redirects.ts";
import type { ServerBlock } from "./nginx-servers.ts";
import type { Report } from "./report.ts";
import { Section } from "./section.ts";
import type { SiteDraft } from "./site-draft.ts";

/** The servers that only redirect: to HTTPS, or to the name of a site. */
export class HostRedirects {
  readonly #top: Section;
  readonly #report: Report;
  readonly #all: { server: ServerBlock; to: HostRedirect }[] = [];

  constructor(top: Section, report: Report) {
    this.#top = top;
    this.#report = report;
  }

  add(server: ServerBlock, to: HostRedirect): void {
    this.#all.push({ server, to });
  }

  /** Adds them to the sites to which they lead. */
  finish(drafts: readonly SiteDraft[], isAlone: boolean): void {
    for (const { server, to } of this.#all) {
      const target = findTarget(server, to, drafts);
      if (to.host === null && drafts.length === 0 && to.scheme === "https") {
        this.#toHttps(server);
        continue;
      }
      const isEverywhere = to.host === null && (server.names.length === 0 || isAlone);
      if (isEverywhere && drafts.length > 0) {
        for (const draft of drafts) toHttps(draft, server, to);
      } else if (target !== null) addToSite(target, { server, to, isAlone });
      else this.#addForeign(server, to);
    }
  }

  /** The config has redirects to HTTPS alone. */
  #toHttps({ directive }: ServerBlock): void {
    this.#top.set("httpsRedirect", true);
    this.#report.into(this.#top, () =>
      this.#report.todo(
        directive,
        "name the proxy that ends TLS in `trustedProxies`, or set `https`",
      ),
    );
  }

  /** The target is no site of this server. */
  #addForeign({ directive, names, block }: ServerBlock, { scheme, host }: HostRedirect): void {
    const [name, ...aliases] = names;
    if (host === null) {
      this.#report.into(this.#top, () =>
        this.#report.lost(
          directive,
          "no site has these names: set `httpsRedirect` where it belongs",
        ),
      );
      return;
    }
    const status = Number(block.find((one) => one.name === "return")?.args[0] ?? 301);
    const to = `${scheme ?? "https"}://${host}/:splat`;
    const rules = [new Section({ path: "/**", redirect: new Section({ to, status }) })];
    const site = this.#top.child("sites").child(name ?? "default");
    if (aliases.length > 0) site.set("aliases", aliases);
    site.set("rules", rules);
  }
}

function findTarget(
  server: ServerBlock,
  to: HostRedirect,
  drafts: readonly SiteDraft[],
): SiteDraft | null {
  const isTarget = ({ names }: SiteDraft): boolean =>
    to.host === null ? server.names.some((name) => names.includes(name)) : names.includes(to.host);
  return drafts.find(isTarget) ?? null;
}

function toHttps(draft: SiteDraft, server: ServerBlock, { scheme }: HostRedirect): void {
  if (scheme === "https") draft.redirectToHttps(server.directive);
}

function addToSite(
  draft: SiteDraft,
  { server, to, isAlone }: { server: ServerBlock; to: HostRedirect; isAlone: boolean },
): void {
  const { section, names } = draft;
  toHttps(draft, server, to);
  if (to.host === null) return;
  const others = server.names.filter((name) => !names.includes(name));
  if (others.length > 0 && !isAlone) {
    const known = section.list("aliases");
    section.set("aliases", [...known, ...others.filter((name) => !known.includes(name))]);
  }
  if (others.length > 0 || names.length > 1) section.set("canonicalHost", to.host);
}

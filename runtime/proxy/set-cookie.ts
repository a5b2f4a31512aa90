/** Changes of the attributes of cookies. */
export interface CookieChanges {
  /** The new `Domain` by the old one, in lower case without a dot in front; `null`: the attribute is left out. */
  readonly domains: ReadonlyMap<string, string | null>;
  /** Starts of `Path` and their replacements. The first that fits wins. */
  readonly paths: readonly (readonly [from: string, to: string])[];
}

/** Changes the attributes of cookies that an upstream sets for its own name and paths. */
export class CookieChange {
  readonly #changes: CookieChanges;

  constructor(changes: CookieChanges) {
    this.#changes = changes;
  }

  /** @param cookie Value of `set-cookie` (RFC 6265 section 4.1.1). */
  of(cookie: string): string {
    const [pair = "", ...attributes] = cookie.split(";");
    return [pair, ...attributes.flatMap((attribute) => this.#change(attribute) ?? [])].join(";");
  }

  /** Returns an attribute of a cookie; `null`: it is left out. */
  #change(attribute: string): string | null {
    const [, start, name = "", rest] = /^(\s*([^=\s]+)\s*=\s*)(.*)$/.exec(attribute) ?? [];
    if (start === undefined || rest === undefined) return attribute;
    const value = rest.trimEnd();
    switch (name.toLowerCase()) {
      case "domain": {
        const domain = this.#changes.domains.get(value.toLowerCase().replace(/^\./, ""));
        if (domain === undefined) return attribute;
        return domain === null ? null : start + domain;
      }
      case "path": {
        const change = this.#changes.paths.find(([from]) => value.startsWith(from));
        return change === undefined ? attribute : start + change[1] + value.slice(change[0].length);
      }
      default:
        return attribute;
    }
  }
}

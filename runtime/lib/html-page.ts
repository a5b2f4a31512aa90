import { createHash } from "node:crypto";

/**
 * Returns a complete HTML page.
 *
 * @param title Plain text.
 * @param content HTML, in which all text from outside is escaped.
 */
export function formatHtmlPage(title: string, content: string): string {
  return toPage(title, content, "");
}

/**
 * Returns a page for developers. It reloads itself after the next build of the handlers.
 *
 * @param options.isGet The request was a GET, so the page may repeat it. Other requests, such as forms, are not
 *   repeated.
 */
export function formatDevelopmentPage(
  title: string,
  content: string,
  { isGet }: { isGet: boolean },
): string {
  const note = isGet
    ? `<p class="note"><noscript>Save the file, then load this page again.</noscript><span id="live"></span></p>`
    : `<p class="note">Save the file, then send the form again.</p>`;
  return toPage(title, `${content}\n${note}`, isGet ? `<script>${RELOAD_SCRIPT}</script>\n` : "");
}

function toPage(title: string, content: string, script: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>
:root { --ink: #1c1c1c; --soft: #666; --paper: #fff; --box: #f4f4f4; --line: #ddd; --bad: #b3261e; --mark: #ffe0dd; --link: #0b57d0 }
@media (prefers-color-scheme: dark) { :root { --ink: #eee; --soft: #aaa; --paper: #161616; --box: #222; --line: #333; --bad: #ff8a80; --mark: #4a1d1a; --link: #8ab4f8 } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 2rem 1rem; color: var(--ink); background: var(--paper) }
h1 { font-size: 1.4rem; line-height: 1.3; overflow-wrap: anywhere } h2 { font-size: 1rem; margin: 1.5rem 0 .5rem; overflow-wrap: anywhere } h1.bad { color: var(--bad) }
p { color: var(--soft); overflow-wrap: anywhere } a { color: var(--link) } .note { font-size: .85rem; margin-top: 2rem }
pre { overflow-x: auto; padding: 1rem; background: var(--box); border: 1px solid var(--line); border-radius: 8px; font: .85rem/1.5 ui-monospace, monospace; tab-size: 4; margin: .5rem 0 }
mark { background: var(--mark); color: inherit; display: inline-block; min-width: 100% } .caret { color: var(--bad); font-weight: bold }
details { margin: 1rem 0 } summary { cursor: pointer; color: var(--soft); font-size: .9rem } .dim { color: var(--soft) }
table { border-collapse: collapse; width: 100%; font-size: .9rem } td, th { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere } th { color: var(--soft); font-weight: normal } code { font: .9em ui-monospace, monospace }
</style>
${content}
${script}</html>
`;
}

/**
 * Fields of such a page, except its type. They keep text of requests and errors harmless even if a page fails to escape
 * it.
 */
export const PAGE_FIELDS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
} as const;

/**
 * Path at which a server in development reports the number of builds to its pages. No handler can have this path,
 * because it begins with a dot.
 */
export const CHANGES_PATH = "/.edgicorn/changes";

/**
 * Script that asks for the number of builds about once a second, and reloads the page when the number differs. It
 * differs after a restart, too.
 */
const RELOAD_SCRIPT = `
(() => {
  let seen = null;
  const say = (text) => { document.getElementById("live").textContent = text; };
  const look = async () => {
    try {
      const response = await fetch("${CHANGES_PATH}", { cache: "no-store" });
      const now = response.ok ? await response.text() : seen;
      if (seen !== null && now !== seen) return location.reload();
      seen = now;
      say("This page reloads when you save a file.");
    } catch {
      say("The server does not answer. This page reloads when it answers again.");
    }
    setTimeout(look, document.hidden ? 3000 : 700);
  };
  look();
})();
`;

/**
 * Returns the fields of a page for developers: {@link PAGE_FIELDS}, with a policy that allows only the script above.
 */
export function developmentPageFields(): Record<string, string> {
  const hash = createHash("sha256").update(RELOAD_SCRIPT).digest("base64");
  const policy = `${PAGE_FIELDS["content-security-policy"]}; connect-src 'self'; script-src 'sha256-${hash}'`;
  return { ...PAGE_FIELDS, "content-security-policy": policy };
}

/** Escapes text for HTML, in an element or in an attribute in quotes. */
export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * A page of ours, whole.
 *
 * @param title Plain text.
 * @param content HTML: whatever comes from outside is escaped already.
 */
export function formatHtmlPage(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c1c1c; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1rem } p { color: #666 }
pre { overflow-x: auto; padding: 1rem; background: #f4f4f4; border-radius: 6px; font-size: .85rem }
mark { background: #ffd9d6; display: inline-block; min-width: 100% }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616 } pre { background: #222 } p { color: #aaa } mark { background: #5a1f1b; color: #fff } }
</style>
${content}
</html>
`;
}

/**
 * Fields of such a page, besides its type. It repeats what requests and errors contain: escaped, and this in case of a
 * mistake there.
 */
export const PAGE_FIELDS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
} as const;

/** Text as HTML shows it, in an element or an attribute in quotes. */
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

import { createHash } from "node:crypto";
import type { AdminPage, AdminReply } from "./admin-page.ts";
import { loadPageFiles } from "./page-files.ts";

/**
 * Creates the status page: one document with its script and styles. It asks `/live` for its figures, and loads nothing else.
 * Its files are read at the first request.
 */
export function createStatusPage(): AdminPage {
  let page: Promise<(mayAct: boolean) => AdminReply> | null = null;
  return {
    path: "/",
    methods: ["GET"],
    access: "operator",
    about: "the status page, for browsers; this list, for others",
    async answer({ mayAct }) {
      page ??= createPage();
      try {
        return (await page)(mayAct);
      } catch (error) {
        // The next request tries again.
        page = null;
        throw error;
      }
    },
  };
}

async function createPage(): Promise<(mayAct: boolean) => AdminReply> {
  const { html, css, js } = await loadPageFiles();
  const [styles, script] = [css.trim(), js.trim()];
  // The policy has the hash of the exact text between the tags.
  const whole = html
    .replace(/(<style>)[^<]*/, (_, tag: string) => tag + styles)
    .replace(/(<script>)[^<]*/, (_, tag: string) => tag + script);
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(styles)}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  return (mayAct) => ({
    status: 200,
    contentType: "text/html; charset=utf-8",
    body: whole.replace("<!-- may act -->", String(mayAct)),
    fields: { "content-security-policy": policy, "referrer-policy": "no-referrer" },
  });
}

function hashOf(text: string): string {
  return `sha256-${createHash("sha256").update(text).digest("base64")}`;
}

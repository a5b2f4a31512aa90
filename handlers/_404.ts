import { html } from "./_site/html.ts";
import { page } from "./_site/page.ts";

/** Answers what no route and no file answers. */
export default function (request: Request): Response {
  if (!request.headers.get("accept")?.includes("text/html")) {
    return new Response("Not Found\n", { status: 404 });
  }
  const { pathname } = new URL(request.url);
  return page(
    "Not found",
    html`<main class="narrow">
      <h1>Nothing here</h1>
      <p>No file in <code>public/</code> and no handler answers <code>${pathname}</code>.</p>
      <p><a href="/">Back to the start</a></p>
    </main>`,
    { status: 404 },
  );
}

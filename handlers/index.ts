import type { Context } from "edgicorn";
import { html } from "./_site/html.ts";
import { page } from "./_site/page.ts";

/** The landing page, rendered for each request: its last line says by whom. */
export function GET(_request: Request, context: Context): Response {
  return page(
    "Edgicorn",
    html`<header>
        <a class="brand" href="/">
          <img src="/favicon.svg" alt="" width="28" height="28" />
          Edgicorn
        </a>
      </header>
      <main>
        <section class="hero">
          <h1>Put a file in a folder.<br />It is on the Internet.</h1>
          <p class="lead">
            Edgicorn does the work of Nginx <em>and</em> Gunicorn in one program, for handlers
            written against the web standards: <code>Request</code> in, <code>Response</code> out.
          </p>
          <div class="steps">
            <figure>
              <figcaption>handlers/hello.ts</figcaption>
              <pre><code>export default {
  fetch(request) {
    return new Response("Hello, world!\\n");
  },
};</code></pre>
            </figure>
            <figure>
              <figcaption>terminal</figcaption>
              <pre><code><b>$</b> npm start
<b>$</b> curl http://localhost:8080/hello
Hello, world!
<b>$</b> curl -k https://localhost:8443/hello
Hello, world!</code></pre>
            </figure>
          </div>
        </section>

        <section>
          <h2>Running here now</h2>
          <ul class="cards">
            ${EXAMPLES.map(
              ({ href, file, title, text }) =>
                html`<li>
                  <a href="${href}">
                    <strong>${title}</strong>
                    <code>${file}</code>
                    <span>${text}</span>
                  </a>
                </li>`,
            )}
          </ul>
        </section>

        <section>
          <h2>What happens to a request</h2>
          <ol class="path">
            <li><strong>Client</strong><span>HTTP or HTTPS</span></li>
            <li>
              <strong>Primary</strong>
              <span>TLS, static files, limits, queue. Runs none of your code.</span>
            </li>
            <li>
              <strong>Workers</strong>
              <span
                >Your handlers, in as many processes as you like. The least busy one answers.</span
              >
            </li>
          </ol>
          <p>
            The primary owns every connection. A worker that crashes is replaced while the others go
            on, and a reload starts new workers beside the old ones and moves over once they are
            ready.
          </p>
        </section>
      </main>
      <footer>
        Rendered by worker process <code>${process.pid}</code>, request
        <code>${context.requestId}</code>
      </footer>`,
  );
}

const EXAMPLES = [
  {
    href: "/api/users",
    file: "api/users/index.ts",
    title: "A JSON API",
    text: "A function per method.",
  },
  {
    href: "/api/users/2",
    file: "api/users/[id].ts",
    title: "A parameter",
    text: "Brackets in the name of the file.",
  },
  {
    href: "/contact",
    file: "contact.ts",
    title: "A form",
    text: "Checked, escaped, redirected. No script.",
  },
  {
    href: "/style.css",
    file: "public/style.css",
    title: "A static file",
    text: "From memory, with ETag and ranges.",
  },
];

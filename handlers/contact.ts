import type { Context } from "edgicorn";
import { type Html, html } from "./_site/html.ts";
import { page } from "./_site/page.ts";

/** Shows the form, or who was thanked. */
export function GET(request: Request): Response {
  const name = new URL(request.url).searchParams.get("thanks");
  return page("Contact", name === null ? form({ name: "", message: "" }, {}) : thanks(name));
}

/** Takes the form: shows it again if something is missing, else redirects, so that a reload sends nothing twice. */
export async function POST(request: Request, context: Context): Promise<Response> {
  const data = await request.formData().catch(() => null);
  if (data === null) return new Response("Expected a form\n", { status: 400 });
  const entry = { name: readText(data, "name"), message: readText(data, "message") };
  const problems = validate(entry);
  if (Object.keys(problems).length > 0) {
    return page("Contact", form(entry, problems), { status: 422 });
  }
  context.log.info({ messageLength: entry.message.length }, "contact form received");
  const location = `/contact?${new URLSearchParams({ thanks: entry.name }).toString()}`;
  return new Response(null, { status: 303, headers: { location } });
}

interface Entry {
  name: string;
  message: string;
}

function readText(data: FormData, field: keyof Entry): string {
  const value = data.get(field);
  return typeof value === "string" ? value.trim() : "";
}

function validate({ name, message }: Entry): Partial<Entry> {
  return {
    ...(name === "" && { name: "Please tell us your name" }),
    ...(message.length < 10 && { message: "Please write at least 10 characters" }),
  };
}

function form(entry: Entry, problems: Partial<Entry>): Html {
  return html`<main class="narrow">
    <p><a href="/">Edgicorn</a></p>
    <h1>A form without JavaScript</h1>
    <form method="post">
      <label for="name">Name</label>
      <input id="name" name="name" value="${entry.name}" autocomplete="name" />
      ${problem(problems.name)}
      <label for="message">Message</label>
      <textarea id="message" name="message" rows="5">${entry.message}</textarea>
      ${problem(problems.message)}
      <button>Send</button>
    </form>
  </main>`;
}

function problem(text: string | undefined): Html | "" {
  return text === undefined ? "" : html`<p class="problem" role="alert">${text}</p>`;
}

function thanks(name: string): Html {
  return html`<main class="narrow">
    <p><a href="/">Edgicorn</a></p>
    <h1>Thank you, ${name}!</h1>
    <p>Your message arrived. <a href="/contact">Send another one</a></p>
  </main>`;
}

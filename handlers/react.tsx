import { type ReactElement, Suspense, use } from "react";
import { renderToReadableStream } from "react-dom/server";
import { type User, users } from "./api/users/_users.ts";

/** A page that React renders on the server, its data behind `Suspense`. Try /react?name=Ada */
export default async function (request: Request): Promise<Response> {
  const name = new URL(request.url).searchParams.get("name") ?? "world";
  const stream = await renderToReadableStream(<Page name={name} team={loadTeam()} />);
  // With everything in place, not fallbacks that a script replaces: the page needs no JavaScript.
  await stream.allReady;
  return new Response(stream, { headers: { "content-type": "text/html; charset=utf-8" } });
}

/** In your application: a query to the database. */
function loadTeam(): Promise<readonly User[]> {
  return Promise.resolve(users);
}

function Page({ name, team }: { name: string; team: Promise<readonly User[]> }): ReactElement {
  return (
    <html lang="en">
      <head>
        <meta charSet="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`Hello, ${name}`}</title>
        <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>
        <main className="narrow">
          <p>
            <a href="/">Edgicorn</a>
          </p>
          <h1>{`Hello, ${name}!`}</h1>
          <p>React rendered this page on the server.</p>
          <Suspense fallback={<p>Loading</p>}>
            <Team members={team} />
          </Suspense>
        </main>
      </body>
    </html>
  );
}

function Team({ members }: { members: Promise<readonly User[]> }): ReactElement {
  return (
    <ul>
      {use(members).map(({ id, name, language }) => (
        <li key={id}>
          <strong>{name}</strong>, {language}
        </li>
      ))}
    </ul>
  );
}

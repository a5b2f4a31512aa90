import { type ReactElement, Suspense, use } from "react";
import { renderToReadableStream } from "react-dom/server";

/** A page that React renders on the server, its data behind `Suspense`. Try /?name=Ada */
export async function GET(request: Request): Promise<Response> {
  const name = new URL(request.url).searchParams.get("name") ?? "world";
  const stream = await renderToReadableStream(<Page name={name} team={loadTeam()} />);
  // With everything in place, not fallbacks that a script replaces: the page needs no JavaScript.
  await stream.allReady;
  return new Response(stream, { headers: { "content-type": "text/html; charset=utf-8" } });
}

/** In your application: a query to the database. */
function loadTeam(): Promise<readonly string[]> {
  return Promise.resolve(["Ada Lovelace", "Grace Hopper", "Margaret Hamilton"]);
}

function Page({ name, team }: { name: string; team: Promise<readonly string[]> }): ReactElement {
  return (
    <html lang="en">
      <head>
        <meta charSet="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>{`Hello, ${name}`}</title>
        <link rel="stylesheet" href="/style.css" />
      </head>
      <body>
        <main>
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

function Team({ members }: { members: Promise<readonly string[]> }): ReactElement {
  return (
    <ul>
      {use(members).map((name) => (
        <li key={name}>{name}</li>
      ))}
    </ul>
  );
}

import { Links, Meta, Outlet, Scripts } from "react-router";
import "./root.css";

export default function App() {
  return (
    <html lang="en">
      <head>
        <meta charSet="utf-8" />
        <Meta />
        <Links />
      </head>
      <body>
        <Outlet />
        <Scripts />
      </body>
    </html>
  );
}

export function ErrorBoundary() {
  return <h1>Something is wrong</h1>;
}

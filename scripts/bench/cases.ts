/** What every server of a case is asked, and what it must answer before it is loaded. */
export interface Case {
  /** Names the case on the command line and in the JSON file. */
  readonly id: string;
  readonly title: string;
  readonly path: string;
  readonly tls: boolean;
  readonly accessLog: boolean;
  /** Servers that can do it, in the order of the printed table. */
  readonly servers: readonly ServerId[];
  /** The server that the others are compared with, in the same round. */
  readonly baseline: ServerId;
  /** Says what is wrong with an answer; `undefined` when it is the right one. */
  readonly refuse: (answer: Answer) => string | undefined;
}

/** A whole answer, as the check before the load sees it. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Names a server on the command line and in the JSON file. */
export type ServerId =
  | "edgicorn"
  | "uws"
  | "node-http"
  | "fastify"
  | "hono-node-server"
  | "nginx-node"
  | "nginx-gunicorn"
  | "deno"
  | "bun"
  | "workerd";

/** All cases. A new one is an entry here, and what it needs in `peers/` and `servers.ts`. */
export const CASES: readonly Case[] = [
  {
    id: "hello",
    title: "hello world over HTTP",
    path: "/",
    tls: false,
    accessLog: false,
    servers: [
      "edgicorn",
      "uws",
      "deno",
      "bun",
      "workerd",
      "node-http",
      "fastify",
      "hono-node-server",
      "nginx-node",
      "nginx-gunicorn",
    ],
    baseline: "edgicorn",
    refuse: refuseHello,
  },
  {
    id: "hello-tls",
    title: "hello world over HTTPS",
    path: "/",
    tls: true,
    accessLog: false,
    servers: ["edgicorn", "nginx-node"],
    baseline: "edgicorn",
    refuse: refuseHello,
  },
  {
    id: "hello-log",
    title: "hello world over HTTP with the access log on, written to a file",
    path: "/",
    tls: false,
    accessLog: true,
    servers: ["edgicorn", "nginx-node"],
    baseline: "edgicorn",
    refuse: refuseHello,
  },
];

function refuseHello({ status, contentType, body }: Answer): string | undefined {
  if (status !== 200) return `status ${status}, expected 200`;
  // Servers differ in the space before `charset` and in the case of its value; both mean the same.
  const type = contentType.toLowerCase().replaceAll(" ", "");
  if (type !== "text/plain;charset=utf-8")
    return `content-type "${contentType}", expected text/plain;charset=UTF-8`;
  if (body !== "Hello, world!") return `body "${body.slice(0, 80)}", expected "Hello, world!"`;
  return undefined;
}

import { type IncomingHttpHeaders, request as requestPlain, type RequestOptions } from "node:http";
import { request as requestSecure } from "node:https";

/** Where a server listens: `{ port }` or `{ socketPath }`. */
export type Place = { port: number } | { socketPath: string };

export interface Question {
  method?: string;
  /** Sent as it is. */
  path: string;
  host?: string;
  headers?: Readonly<Record<string, string>>;
  body?: string;
  tls?: boolean;
}

export interface Answer {
  status: number;
  fields: IncomingHttpHeaders;
  body: Buffer;
}

/** Asks a server once, on a connection of its own. */
export function ask(place: Place, question: Question): Promise<Answer> {
  const { method = "GET", path, host = "www.example.test", headers, body, tls = false } = question;
  const options: RequestOptions & { rejectUnauthorized: boolean; servername: string } = {
    host: "127.0.0.1",
    ...place,
    method,
    path,
    agent: false,
    rejectUnauthorized: false,
    servername: host,
    headers: {
      ...headers,
      host,
      ...(body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }),
    },
  };
  return new Promise((resolve, reject) => {
    const request = (tls ? requestSecure : requestPlain)(options, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        const { statusCode = 0, headers: fields } = response;
        resolve({ status: statusCode, fields, body: Buffer.concat(chunks) });
      });
    });
    request.once("error", reject);
    request.end(body);
  });
}

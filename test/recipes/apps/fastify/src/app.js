import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import multipart from "@fastify/multipart";
import files from "@fastify/static";
import fastify from "fastify";

export function buildApp() {
  const app = fastify();
  app.register(multipart);
  app.register(files, {
    root: fileURLToPath(new URL("./files", import.meta.url)),
    prefix: "/files/",
  });
  app.get("/", (request, reply) => {
    reply.header("set-cookie", ["a=1", "b=2"]);
    return { ip: request.ip, protocol: request.protocol, host: request.host };
  });
  app.post("/json", (request, reply) => reply.code(201).send({ received: request.body }));
  app.post("/upload", async (request) => {
    const file = await request.file();
    const bytes = await file.toBuffer();
    return { filename: file.filename, size: bytes.length, last: bytes.at(-1) };
  });
  app.get("/stream", (_request, reply) => {
    async function* lines() {
      for (let line = 1; line <= 3; line++) {
        yield `${line}\n`;
        await delay(10);
      }
    }
    return reply.type("text/plain").send(Readable.from(lines()));
  });
  app.get("/hijack", (_request, reply) => {
    reply.hijack();
    reply.raw.writeHead(200, { "content-type": "text/plain" });
    reply.raw.end("raw");
  });
  app.get(
    "/checked",
    {
      schema: {
        querystring: { type: "object", required: ["n"], properties: { n: { type: "integer" } } },
      },
    },
    (request) => request.query.n + 1,
  );
  app.get("/throws", () => {
    throw new Error("planted");
  });
  return app;
}

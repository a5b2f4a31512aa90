import Fastify from "fastify";

const app = Fastify({ logger: false });
app.get("/", (request, reply) => {
  reply.type("text/plain;charset=UTF-8").send("Hello, world!");
});
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });

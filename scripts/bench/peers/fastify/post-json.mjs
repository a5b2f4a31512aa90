import Fastify from "fastify";

// Fastify keeps an idle connection for 72 s, longer than Nginx does (60 s).
const app = Fastify({ logger: false });
app.post("/", (request, reply) => {
  reply.send(request.body);
});
await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });

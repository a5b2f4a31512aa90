import fastify from "fastify";

const app = fastify();
app.get("/fastify", () => "hi");
await app.ready();

export default app.routing;

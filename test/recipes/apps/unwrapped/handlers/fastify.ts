import fastify from "fastify";

export default fastify();

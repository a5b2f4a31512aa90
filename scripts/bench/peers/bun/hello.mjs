Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  development: false,
  fetch() {
    return new Response("Hello, world!");
  },
});

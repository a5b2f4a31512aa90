/** The smallest handler: module syntax, as on Cloudflare Workers, Deno and Bun. */
export default {
  fetch(): Response {
    return new Response("Hello, world!\n");
  },
};

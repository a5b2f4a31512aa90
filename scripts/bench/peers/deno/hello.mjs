// Run by `deno serve`, which owns the port and the flags.
export default {
  fetch() {
    return new Response("Hello, world!");
  },
};

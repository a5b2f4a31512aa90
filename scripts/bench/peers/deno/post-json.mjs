// Run by `deno serve`, which owns the port and the flags.
export default {
  async fetch(request) {
    return Response.json(await request.json());
  },
};

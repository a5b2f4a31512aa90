// oxlint-disable typescript/no-unsafe-call, typescript/no-unsafe-member-access -- plain JavaScript, run as it is: nothing in it has a type
// Run by `deno serve`, which owns the port and the flags.
export default {
  async fetch(request) {
    return Response.json(await request.json());
  },
};

import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { appRouter } from "../../src/router.ts";

export default (request: Request): Promise<Response> =>
  fetchRequestHandler({
    endpoint: "/trpc",
    req: request,
    router: appRouter,
    createContext: () => ({ user: request.headers.get("x-user") }),
  });

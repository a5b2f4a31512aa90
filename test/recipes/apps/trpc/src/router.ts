import { initTRPC, TRPCError } from "@trpc/server";
import { z } from "zod";

const t = initTRPC.context<{ user: string | null }>().create();

export const appRouter = t.router({
  hello: t.procedure
    .input(z.object({ name: z.string() }))
    .query(({ input, ctx }) => `Hello, ${input.name} (${ctx.user})`),
  add: t.procedure.input(z.tuple([z.number(), z.number()])).mutation(({ input: [a, b] }) => a + b),
  upload: t.procedure.input(z.instanceof(FormData)).mutation(({ input }) => {
    const file = input.get("file") as File;
    return `${file.name}: ${file.size} bytes`;
  }),
  count: t.procedure.subscription(async function* () {
    for (let n = 1; n <= 3; n++) yield n;
  }),
  secret: t.procedure.query(() => {
    throw new TRPCError({ code: "UNAUTHORIZED" });
  }),
});

export type AppRouter = typeof appRouter;

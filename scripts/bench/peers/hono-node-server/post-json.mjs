import { serve } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();
app.post("/", async (context) => context.json(await context.req.json()));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT) });

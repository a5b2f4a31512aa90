import { serve } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();
app.get("/", (context) => context.text("Hello, world!"));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(process.env.PORT) });

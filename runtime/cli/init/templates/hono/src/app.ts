import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";

/** An ordinary Hono app: nothing in it knows where it runs. */
const app = new Hono();

app.get("/", (c) => c.text("Hono on Edgicorn\n"));

app.get("/hello/:name", (c) => c.json({ hello: c.req.param("name") }));

app.post("/sum", async (c) => {
  const numbers: unknown = await c.req.json().catch(() => null);
  if (!Array.isArray(numbers) || !numbers.every((item) => typeof item === "number")) {
    throw new HTTPException(400, { message: "expected a JSON array of numbers" });
  }
  return c.json({ sum: numbers.reduce((total, item) => total + item, 0) });
});

app.notFound((c) => c.json({ error: `nothing at ${c.req.path}` }, 404));

export default app;

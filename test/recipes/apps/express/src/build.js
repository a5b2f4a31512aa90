import { createReadStream } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import compression from "compression";
import session from "cookie-session";
import morgan from "morgan";
import multer from "multer";

const views = fileURLToPath(new URL("./views", import.meta.url));

export function build(express) {
  const app = express();
  const upload = multer({ limits: { fileSize: 800_000 } });
  app.use(morgan("tiny", { stream: { write: (line) => console.log(line.trim()) } }));
  app.use(session({ name: "session", keys: ["secret"] }));
  app.use("/zipped", compression({ threshold: 0 }));
  app.use("/files", express.static(views));

  app.get("/", (req, res) => {
    res.cookie("seen", "1").cookie("theme", "dark");
    res.send(`<h1>Hello from ${req.ip} by ${req.protocol} as ${req.hostname}</h1>`);
  });
  app.get("/users/:id", (req, res) => res.json({ id: req.params.id, query: req.query }));
  app.get("/visits", (req, res) => {
    req.session.visits = (req.session.visits ?? 0) + 1;
    res.json(req.session.visits);
  });
  app.post("/json", express.json(), (req, res) => res.status(201).json({ received: req.body }));
  app.post("/form", express.urlencoded({ extended: true }), (req, res) =>
    res.redirect(`/?name=${req.body.name}`),
  );
  app.post("/upload", upload.single("file"), (req, res) => {
    const { originalname, size, buffer } = req.file;
    res.json({ originalname, size, last: buffer.at(-1), note: req.body.note });
  });
  app.get("/page", (_req, res) => res.sendFile("page.html", { root: views }));
  app.get("/download", (_req, res) => res.download("page.html", "naïve.html", { root: views }));
  app.get("/pipe", (_req, res) => createReadStream(`${views}/page.html`).pipe(res));
  app.get("/zipped/large", (_req, res) => res.type("text").send("compress me ".repeat(10_000)));
  app.get("/events", async (_req, res) => {
    res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    for (let id = 1; id <= 3; id++) {
      res.write(`id: ${id}\ndata: ${"x".repeat(id)}\n\n`);
      await delay(20);
    }
    res.end();
  });
  app.get("/endless", (req, res) => {
    const timer = setInterval(() => res.write("data: tick\n\n"), 20);
    res.on("close", () => {
      clearInterval(timer);
      console.error("client left /endless");
    });
    req.resume();
    res.write("data: first\n\n");
  });
  app.get("/throws", () => {
    throw new Error("planted");
  });
  app.get("/late", async (_req, res) => {
    res.write("begun");
    await delay(20);
    res.destroy(new Error("planted late"));
  });
  return app;
}

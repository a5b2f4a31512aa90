import { PassThrough } from "node:stream";
import multer from "@koa/multer";
import Koa from "koa";
import bodyParser from "koa-bodyparser";

const app = new Koa();
const upload = multer().single("file");
app.keys = ["secret"];
app.on("error", (error) => console.error(`application error: ${error.message}`));
app.use(bodyParser());
app.use(async (ctx) => {
  switch (`${ctx.method} ${ctx.path}`) {
    case "GET /":
      ctx.cookies.set("a", "1");
      ctx.cookies.set("b", "2", { signed: true });
      ctx.body = { ip: ctx.ip, protocol: ctx.protocol, query: ctx.query };
      return;
    case "POST /json":
      ctx.status = 201;
      ctx.body = { received: ctx.request.body };
      return;
    case "POST /upload":
      await upload(ctx, async () => {});
      ctx.body = { name: ctx.file.originalname, size: ctx.file.size };
      return;
    case "GET /stream": {
      const stream = new PassThrough();
      ctx.type = "text/plain";
      ctx.body = stream;
      let line = 0;
      const timer = setInterval(() => {
        stream.write(`${++line}\n`);
        if (line < 3) return;
        clearInterval(timer);
        stream.end();
      }, 10);
      return;
    }
    case "GET /empty":
      ctx.status = 204;
      return;
    case "GET /throws":
      throw new Error("planted");
  }
});

export default app;

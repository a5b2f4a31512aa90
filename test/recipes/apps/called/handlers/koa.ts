import Koa from "koa";

const app = new Koa();
app.use((context) => {
  context.body = "hi";
});

export default app.callback();

import Koa from "koa";

export default new Koa();

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H3 } from "h3";
import { Hono } from "hono";
import { Router } from "itty-router";
import {
  defineErrorHandler,
  defineHandler,
  defineMiddleware,
  type Handler,
  type HandlerConfig,
} from "../runtime/api.ts";

// Most of this is checked by the compiler: what users write must have types without annotations.

describe("defineHandler() and its like", () => {
  it("give parameters their types and return what they are given", () => {
    const handler = defineHandler((request, context) => {
      const name: string | undefined = context.params["name"] ?? context.env["NAME"];
      context.waitUntil(request.text());
      return new Response(name);
    });
    assert.equal(typeof handler, "function");
    defineHandler<{ id: string }>((_request, { params }) => new Response(params.id.toUpperCase()));
    const module = defineHandler({
      async fetch(request, env, context) {
        context.log.info({ path: request.url }, env["NAME"]);
        return Response.json(await request.json());
      },
    });
    assert.equal(typeof module.fetch, "function");
    const middleware = defineMiddleware(async (request, context, next) => {
      const response = await next(request);
      response.headers.set("x-request-id", context.requestId);
      return response;
    });
    const onError = defineErrorHandler((error) => new Response(String(error), { status: 500 }));
    assert.deepEqual([typeof middleware, typeof onError], ["function", "function"]);
  });

  it("take apps of frameworks as handlers", () => {
    const hono: Handler = new Hono();
    const h3: Handler = new H3();
    const itty: Handler = Router();
    const config: HandlerConfig = { methods: ["GET"], cache: { maxAgeMs: 1000 } };
    assert.equal([hono, h3, itty, config].length, 4);
  });
});

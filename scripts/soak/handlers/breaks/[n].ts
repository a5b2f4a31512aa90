import { parseOrder, produce } from "../../produce.ts";

// A stream that fails when it has yielded the ordered bytes.
export default (request: Request): Response => {
  const order = parseOrder(request.url);
  const headers = order.announced ? { "content-length": String(order.bytes + 1) } : {};
  return new Response(produce({ ...order, fails: true }), { headers });
};

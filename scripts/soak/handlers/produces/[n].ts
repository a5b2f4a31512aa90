import { parseOrder, produce } from "../../produce.ts";

// A stream of the size, the pieces and the pauses that are asked for.
export default (request: Request): Response => {
  const order = parseOrder(request.url);
  const headers = order.announced ? { "content-length": String(order.bytes) } : {};
  return new Response(produce(order), { headers });
};

import { parseOrder, produce } from "../../produce.ts";

// A stream with the ordered size, pieces and pauses.
export default (request: Request): Response => {
  const order = parseOrder(request.url);
  const headers = order.announced ? { "content-length": String(order.bytes) } : {};
  return new Response(produce(order), { headers });
};

import { patternOf } from "../../pattern.ts";
import { parseOrder } from "../../produce.ts";

// A body in one piece.
export default (request: Request): Response => {
  const { from, bytes } = parseOrder(request.url);
  return new Response(patternOf(from, bytes));
};

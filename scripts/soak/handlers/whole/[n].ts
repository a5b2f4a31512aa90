import { patternOf } from "../../pattern.ts";
import { parseOrder } from "../../produce.ts";

// A body that is there as a whole.
export default (request: Request): Response => {
  const { from, bytes } = parseOrder(request.url);
  return new Response(patternOf(from, bytes));
};

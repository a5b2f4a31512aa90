/** The orders of the tables. */
export interface Order {
  readonly workers: "number" | "age" | "memory" | "busy";
  readonly routes: "requests" | "p99" | "failures" | "last" | "name";
}

export const FIRST_ORDER: Order = { workers: "number", routes: "requests" };

/** Keys, and the orders that they choose. */
const KEYS: Readonly<Record<string, Partial<Order>>> = {
  w: { workers: "number" },
  a: { workers: "age" },
  m: { workers: "memory" },
  b: { workers: "busy" },
  r: { routes: "requests" },
  p: { routes: "p99" },
  f: { routes: "failures" },
  l: { routes: "last" },
  n: { routes: "name" },
};

/** Returns the order after a key. Other keys change nothing. */
export function reorder(order: Order, key: string): Order {
  return Object.hasOwn(KEYS, key) ? { ...order, ...KEYS[key] } : order;
}

/** Width of the long text of the keys. */
const WIDE = 130;

/** Describes the keys on one line, with the present orders. */
export function describeKeys({ workers, routes }: Order, columns: number): string {
  if (columns < WIDE) {
    return `q quit  workers by ${workers} (w a m b)  routes by ${routes} (r p f l n)`;
  }
  return `q quit | workers by ${workers}: w number, a age, m memory, b busy | routes by ${routes}: r requests, p p99, f failures, l last, n name`;
}

import { ByteBudget } from "../../runtime/bodies/byte-budget.ts";
import { Intakes } from "../../runtime/bodies/intakes.ts";
import type { Spool } from "../../runtime/bodies/spool.ts";
import type { Dispatcher } from "../../runtime/dispatch/dispatcher.ts";
import type { ExchangeOptions } from "../../runtime/dispatch/exchange.ts";
import type { FakeClient } from "./fake-client.ts";
import { NO_SPOOL } from "./spooling.ts";

/** A request as a test gives it: the rest has the values of a route without settings of its own. */
export interface TestRequest extends Omit<
  ExchangeOptions,
  "intake" | "params" | "reserved" | "timeoutSetting"
> {
  params?: ExchangeOptions["params"];
  reserved?: boolean;
  bodyLimitBytes: number;
  /** Memory for bodies; absent: as much as the request needs. */
  budget?: ByteBudget;
}

/** Admits a request as a route of the handlers does. */
export function admit(
  dispatcher: Dispatcher,
  client: FakeClient,
  { bodyLimitBytes, budget = new ByteBudget(2 ** 28), ...request }: TestRequest,
  spool: Spool = NO_SPOOL,
): void {
  const { buffering } = request;
  const intakes = new Intakes({ budget, spool });
  dispatcher.admit(client, {
    params: null,
    reserved: false,
    timeoutSetting: "requestTimeout",
    ...request,
    intake: client.head.bodyBytes === 0 ? null : intakes.open({ bodyLimitBytes, buffering }),
  });
}

import { findScheduleProblem } from "../../../lib/cron-times.ts";
import { QUEUE_NAME } from "../../../config/queue-config.ts";
import { Section } from "../section.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import { type Item, Table } from "./item.ts";
import { reportUnknown, reportUnused } from "./report-unknown.ts";
import { setBinding } from "./set-binding.ts";

/** Keys that let a module run without a request. */
export const TRIGGER_CARRIERS: Readonly<Record<string, CarryKey>> = {
  triggers: carryTriggers,
  queues: carryQueues,
};

function carryTriggers(item: Item, { report, draft }: Carrying): void {
  const triggers = new Table(item);
  reportUnknown(triggers, ["crons"], { report });
  for (const cron of triggers.get("crons")?.list() ?? []) {
    const written = cron.text().trim().replaceAll(/\s+/g, " ");
    const expression = toCron(written);
    const line = { ...cron.where, text: `${cron.path} ${JSON.stringify(written)}` };
    const problem = findScheduleProblem({
      cron: expression,
      timeZone: "UTC",
      overlap: "skip",
      catchUp: "one",
    });
    if (problem !== null) {
      report.lost(line, problem.replace(/^config\.schedule has/, "the server cannot use"));
    } else if (!draft.schedules.includes(expression)) {
      draft.schedules.push(expression);
      if (expression !== written) {
        report.changed(
          line,
          `Cloudflare counts weekdays from 1 (Sunday): event.cron is "${expression}" here, in case the code compares it`,
        );
      }
    }
  }
}

const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** Writes the numbers of weekdays as names: Cloudflare counts them from 1 (Sunday), others from 0. */
export function toCron(expression: string): string {
  const fields = expression.split(" ");
  if (fields.length !== 5) return expression;
  const days = (fields[4] ?? "")
    // Not the number behind `/` (each nth) or `#` (the nth of a month).
    .replaceAll(/(?<![/#\d])[1-7](?!\d)/g, (digit) => DAYS[Number(digit) - 1] ?? digit)
    .replaceAll(/([A-Z]{3})L/gi, "$1#L");
  return [...fields.slice(0, 4), days].join(" ");
}

function carryQueues(item: Item, carrying: Carrying): void {
  const { config, report, draft } = carrying;
  const queues = new Table(item);
  reportUnknown(queues, ["producers", "consumers"], { report });
  for (const producer of queues.get("producers")?.tables() ?? []) {
    const binding = producer.need("binding").text();
    const queue = toQueueName(producer.need("queue"));
    setBinding(binding, new Section({ queue }), { config, report, item: producer.item });
    reportUnused(producer, { remote: "about wrangler dev" }, { report });
    reportUnknown(producer, ["binding", "queue", "delivery_delay", "remote"], { report });
    const delay = producer.get("delivery_delay");
    if (delay !== null && delay.count(0, 86_400) > 0) {
      const seconds = delay.count(0, 86_400);
      report.lost(
        delay.where,
        `pass it on: env.${binding}.send(body, { delaySeconds: ${seconds} })`,
      );
    }
  }
  for (const consumer of queues.get("consumers")?.tables() ?? []) {
    const queue = toConsumer(consumer, carrying);
    if (queue === null) continue;
    const isKnown = draft.queues.some((each) => each.get("name") === queue.get("name"));
    if (isKnown) throw consumer.need("queue").refusal("a queue that no other consumer has");
    draft.queues.push(queue);
  }
}

const CONSUMER_KEYS = [
  "queue",
  "type",
  "max_batch_size",
  "max_batch_timeout",
  "max_retries",
  "max_concurrency",
  "retry_delay",
  "dead_letter_queue",
  "visibility_timeout_ms",
];

function toConsumer(consumer: Table, { report }: Carrying): Section | null {
  const name = toQueueName(consumer.need("queue"));
  const line = { ...consumer.item.where, text: `${consumer.item.path} ${name}` };
  reportUnused(
    consumer,
    { visibility_timeout_ms: "about messages that are pulled over HTTP" },
    { report },
  );
  reportUnknown(consumer, CONSUMER_KEYS, { report });
  if (consumer.get("type")?.text() === "http_pull") {
    report.lost(line, "messages cannot be pulled over HTTP: write queue() in the module");
    return null;
  }
  const section = new Section({ name });
  const numbers = [
    ["max_batch_size", "batchSize", 1, 100, ""],
    ["max_batch_timeout", "batchTimeout", 0, 60, "s"],
    ["max_retries", "retries", 0, 100, ""],
    ["max_concurrency", "concurrency", 1, 250, ""],
    ["retry_delay", "backoff", 0, 86_400, "s"],
  ] as const;
  for (const [from, to, least, most, unit] of numbers) {
    const count = consumer.get(from)?.count(least, most);
    if (count !== undefined) section.set(to, unit === "" ? count : `${count}${unit}`);
  }
  const delay = consumer.get("retry_delay");
  if (delay !== null && Number(delay.content) > 0) {
    report.changed(delay.where, "each further pause is twice as long, up to 1 h");
  }
  const dead = consumer.get("dead_letter_queue");
  if (dead !== null) {
    const target = toQueueName(dead);
    if (target === name) throw dead.refusal("another queue");
    section.set("deadLetter", target);
  }
  return section;
}

function toQueueName(item: Item): string {
  const name = item.text();
  if (QUEUE_NAME.test(name)) return name;
  throw item.refusal("a name of letters, digits, dots, dashes and underscores, up to 64");
}

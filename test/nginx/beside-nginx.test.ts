import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Answer, Question } from "./ask.ts";
import { compare } from "./compare.ts";
import { DIFFERENCES } from "./differences.ts";
import { skipWithoutNginx } from "./nginx-server.ts";
import { type ComparedQuestion, QUESTIONS } from "./requests.ts";
import { type Both, startBoth } from "./start-both.ts";

/** Asks with the entity tag that the server itself gave. */
async function askWithTags(
  ask: (question: Question) => Promise<Answer>,
  { validators, ...question }: ComparedQuestion,
): Promise<Answer> {
  if (validators === undefined) return ask(question);
  const { fields } = await ask({ path: validators.of });
  const tags = Object.fromEntries(validators.send.map((name) => [name, String(fields.etag)]));
  return ask({ ...question, headers: { ...question.headers, ...tags } });
}

function describeQuestion({
  method = "GET",
  host = "",
  path,
  headers,
  tls,
}: ComparedQuestion): string {
  return `${method} ${tls === true ? "https:" : ""}${host}${path.slice(0, 60)} ${JSON.stringify(headers ?? {}).slice(0, 80)}`;
}

/** Returns deviations without a reason, and notes the reasons of all others. */
async function findUnexplained(
  { nginx, ours }: Both,
  question: ComparedQuestion,
  used: Set<string>,
): Promise<string[]> {
  const [one, other] = await Promise.all([
    askWithTags(nginx, question),
    askWithTags(ours, question),
  ]);
  return compare(one, other).flatMap((deviation) => {
    const known = DIFFERENCES.find(({ accepts }) => accepts(deviation, question, other.status));
    if (known === undefined) {
      const { part, nginx: expected, ours: found } = deviation;
      return [
        `${question.group}: ${describeQuestion(question)}: ${part}: Nginx ${expected}, found ${found}`,
      ];
    }
    used.add(known.reason);
    return [];
  });
}

describe("beside Nginx", { timeout: 180_000, skip: skipWithoutNginx() }, () => {
  it("answers as Nginx does with an equivalent configuration, but for the known differences", async (t) => {
    const both = await startBoth(t);
    const used = new Set<string>();
    const unexplained: string[] = [];
    for (const question of QUESTIONS) {
      unexplained.push(...(await findUnexplained(both, question, used)));
    }
    t.diagnostic(`${QUESTIONS.length} requests, ${used.size} differences`);
    assert.ok(QUESTIONS.length >= 250);
    assert.deepEqual(unexplained, []);
    // A difference that is gone must leave the list and the page.
    assert.deepEqual(
      DIFFERENCES.map(({ reason }) => reason).filter((reason) => !used.has(reason)),
      [],
    );
  });
});

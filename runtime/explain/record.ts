import type { ExplainedStep } from "../control/explanation.ts";
import type { Fact, Inquiry, InquiryStep } from "../http/inquiry.ts";

interface RecordedStep extends InquiryStep {
  passed: boolean;
  readonly notes: string[];
}

/** Collects the decisions about one request. */
export class InquiryRecord implements Inquiry {
  readonly facts: Fact[] = [];
  /** Sentences before the first step. */
  readonly remarks: string[] = [];
  readonly #steps: RecordedStep[] = [];
  readonly #onConcluded: () => void;

  /** @param onConcluded Called when a worker or an upstream server would answer. */
  constructor(onConcluded: () => void) {
    this.#onConcluded = onConcluded;
  }

  step<Outcome>(step: InquiryStep, run: () => Outcome): Outcome {
    const recorded: RecordedStep = { ...step, passed: false, notes: [] };
    this.#steps.push(recorded);
    const outcome = run();
    recorded.passed = outcome === "next";
    return outcome;
  }

  note(text: string): void {
    (this.#steps.at(-1)?.notes ?? this.remarks).push(text);
  }

  tell(fact: Fact): void {
    this.facts.push(fact);
  }

  conclude(): void {
    this.#onConcluded();
  }

  /** Returns the fact of a kind that was told last. */
  find<Kind extends Fact["kind"]>(kind: Kind): Extract<Fact, { kind: Kind }> | null {
    const isOfKind = (fact: Fact): fact is Extract<Fact, { kind: Kind }> => fact.kind === kind;
    return this.facts.findLast(isOfKind) ?? null;
  }

  /**
   * Returns the steps. The last step that did not let the request pass decided: an earlier one, such as the check of a
   * password, waited and then let it pass.
   */
  toSteps(): ExplainedStep[] {
    const last = this.#steps.findLastIndex(({ passed }) => !passed);
    return this.#steps.map(({ name, rules, notes }, at) => ({
      name,
      rules: [...rules],
      decides: at === last,
      notes,
    }));
  }
}

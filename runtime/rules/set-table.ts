/** Most sets that are kept. Clients choose the set of rules, by their fields. */
const REMEMBERED_SETS = 1000;

/** Values for sets of numbers, made when they are needed. A look-up allocates nothing. */
export class SetTable<Value> {
  readonly #create: (numbers: readonly number[]) => Value;
  readonly #root: SetNode<Value> = { next: new Map(), value: null };
  #count = 0;

  /** @param create Makes the value of a set. It may be called again for the same set if there are too many. */
  constructor(create: (numbers: readonly number[]) => Value) {
    this.#create = create;
  }

  /** @param numbers A set: in ascending order. A list is possible, too. */
  get(numbers: readonly number[]): Value {
    let node = this.#root;
    for (const number of numbers) {
      let next = node.next.get(number);
      if (next === undefined) {
        if (this.#count === REMEMBERED_SETS) return this.#create(numbers.slice());
        this.#count++;
        next = { next: new Map(), value: null };
        node.next.set(number, next);
      }
      node = next;
    }
    node.value ??= { made: this.#create(numbers.slice()) };
    return node.value.made;
  }
}

/** A set: the numbers on the way from the root. */
interface SetNode<Value> {
  next: Map<number, SetNode<Value>>;
  value: { made: Value } | null;
}

/** The place of an item in at most one list at a time. */
export class Link<T> {
  readonly item: T;
  /** For the list. */
  before: Link<T> | null = null;
  after: Link<T> | null = null;

  constructor(item: T) {
    this.item = item;
  }
}

/** A doubly linked list. All operations take constant time. */
export class LinkedList<T> {
  #first: Link<T> | null = null;
  #last: Link<T> | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first?.item;
  }

  /** Adds a link at the end. The link must be in no list. */
  append(link: Link<T>): void {
    link.before = this.#last;
    if (this.#last === null) this.#first = link;
    else this.#last.after = link;
    this.#last = link;
    this.#size++;
  }

  /** Removes a link, which must be in this list. */
  remove(link: Link<T>): void {
    const { before, after } = link;
    if (before === null) this.#first = after;
    else before.after = after;
    if (after === null) this.#last = before;
    else after.before = before;
    link.before = null;
    link.after = null;
    this.#size--;
  }

  /** Makes a link of this list the last one. */
  moveToEnd(link: Link<T>): void {
    if (link === this.#last) return;
    this.remove(link);
    this.append(link);
  }
}

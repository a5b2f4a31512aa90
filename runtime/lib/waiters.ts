/** Promises that wait for an event. One `release` resolves all of them. */
export class Waiters {
  #resolvers: (() => void)[] = [];

  /** Resolves at the next `release`. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#resolvers.push(resolve));
  }

  release(): void {
    if (this.#resolvers.length === 0) return;
    const resolvers = this.#resolvers;
    this.#resolvers = [];
    for (const resolve of resolvers) resolve();
  }
}

/** A number of bytes that many share: what one holds, the others cannot. */
export class ByteBudget {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /**
   * False when that is more than is left: nothing was taken.
   *
   * @param leaveBytes What has to be left then, for those who cannot do without.
   */
  take(bytes: number, leaveBytes = 0): boolean {
    if (this.#heldBytes + bytes > this.#limitBytes - leaveBytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Gives back what was taken. */
  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

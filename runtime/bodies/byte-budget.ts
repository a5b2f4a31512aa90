/** A number of bytes that several holders share. */
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
   * Takes bytes from the budget. Returns false, and takes nothing, when fewer are left.
   *
   * @param leaveBytes Bytes that must stay in the budget for other holders.
   */
  take(bytes: number, leaveBytes = 0): boolean {
    if (this.#heldBytes + bytes > this.#limitBytes - leaveBytes) return false;
    this.#heldBytes += bytes;
    return true;
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#heldBytes -= bytes;
  }
}

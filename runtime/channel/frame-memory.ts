/** Room for the largest frame, except frames of a single large message. */
const MEMORY_BYTES = 384 * 1024;

/** Size of the messages in a usual frame, without their bodies. */
const HEADS_BYTES = 32 * 1024;

/**
 * Most memories that are kept for reuse. A channel whose other side is slow has one memory per frame in transit. The
 * garbage collector gets the rest.
 */
const MOST_FREE = 4;

/** Memory for frames, one after another. */
export class FrameMemory {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(MEMORY_BYTES);
  /** Where the next frame begins. */
  usedBytes = 0;
  /** Must be called once for each frame of this memory, when it was written or never will be. */
  readonly release: () => void;
  #frames = 0;

  constructor(onFree: (memory: FrameMemory) => void) {
    this.release = () => {
      this.#frames--;
      if (this.#frames > 0) return;
      this.usedBytes = 0;
      onFree(this);
    };
  }

  hasRoom(bytes: number): boolean {
    return MEMORY_BYTES - this.usedBytes >= bytes;
  }

  /** Notes a frame in this memory that ends at `endBytes`. */
  use(endBytes: number): void {
    this.usedBytes = endBytes;
    this.#frames++;
  }
}

/** The memory of one channel. Reuses memory whose frames have all been written. */
export class FrameMemories {
  readonly #free: FrameMemory[] = [];
  #current: FrameMemory;

  constructor() {
    this.#current = this.#make();
  }

  /** Returns memory for a frame with bodies of about `bodyBytes`. It may turn out to be too small. */
  pick(bodyBytes: number): FrameMemory {
    const wantedBytes = Math.min(bodyBytes + HEADS_BYTES, MEMORY_BYTES);
    if (!this.#current.hasRoom(wantedBytes)) this.#current = this.#free.pop() ?? this.#make();
    return this.#current;
  }

  #make(): FrameMemory {
    return new FrameMemory((memory) => {
      if (memory !== this.#current && this.#free.length < MOST_FREE) this.#free.push(memory);
    });
  }
}

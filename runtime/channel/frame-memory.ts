/** Room for the largest frame but those of a single large message. */
const MEMORY_BYTES = 384 * 1024;

/** What messages take besides the bodies in them, in a frame of usual size. */
const HEADS_BYTES = 32 * 1024;

/** Those that are not in use. A side that is behind has one for each frame on its way, which are then left to the collector. */
const MOST_FREE = 4;

/** Memory in which frames are made, one behind the other. */
export class FrameMemory {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(MEMORY_BYTES);
  /** Where the next frame begins. */
  usedBytes = 0;
  /** To be called when a frame of this memory was written, or never will be. */
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

  /** A frame was made here, up to this end. */
  use(endBytes: number): void {
    this.usedBytes = endBytes;
    this.#frames++;
  }
}

/** The memory of one channel: what is written is used again, what is not written yet is left alone. */
export class FrameMemories {
  readonly #free: FrameMemory[] = [];
  #current: FrameMemory;

  constructor() {
    this.#current = this.#make();
  }

  /** Where to make a frame with bodies of so many bytes, about; it may turn out to be too small. */
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

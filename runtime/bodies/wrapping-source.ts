import type { BodySource } from "../http/client.ts";

/**
 * Base of bodies that read another body and change it, copy it or slow it down. Keeps the rules of `BodySource` in one
 * place, hence a base class where this project otherwise has none:
 *
 * - **Back-pressure.** Only `read` reads the inner body. A subclass that needs more input for a piece reads again inside
 *   `pull`, and returns `null` when the inner body has none.
 * - **Lent bytes.** A piece of the inner body is valid until the next `read` or `cancel` of the inner body. `pull` may
 *   return it, or a part of it. A subclass copies the bytes that it keeps for longer.
 * - **One end.** `onEnd` runs once: after the last piece was read, or when the body fails or is cancelled. From then on
 *   `state` does not change, and `read` returns `null`.
 * - **A broken body is never complete.** The body fails with the inner body, even if bytes of it still wait here.
 * - **Cancel.** The inner body is cancelled at most once, also when its last piece is still lent.
 * - **Passed on.** `onChange` and `failedAs`. Not `wholeBytes`: a subclass may change the size.
 */
export abstract class WrappingSource implements BodySource {
  onChange: (() => void) | null = null;
  protected readonly inner: BodySource;
  #end: "ended" | "failed" | null = null;
  #failedAs: number | null = null;
  #isCancelled = false;

  constructor(inner: BodySource) {
    this.inner = inner;
    inner.onChange = () => this.changed();
  }

  get state(): BodySource["state"] {
    if (this.#end !== null) return this.#end;
    const { state } = this.inner;
    return state === "ended" && !this.isDrained ? "open" : state;
  }

  get failedAs(): number {
    return this.#failedAs ?? this.inner.failedAs ?? 500;
  }

  read(maxBytes: number): Uint8Array | null {
    if (this.#end !== null) return null;
    const piece = this.pull(maxBytes);
    this.#settle();
    return piece;
  }

  cancel(): void {
    this.onChange = null;
    this.#stop(this.state === "ended" ? "ended" : "failed");
  }

  /** Returns the next bytes, 1 to `maxBytes`; `null` when none are available now. Reads the inner body as needed. */
  protected pull(maxBytes: number): Uint8Array | null {
    return this.inner.read(maxBytes);
  }

  /** Whether the subclass has no bytes left to deliver, once the inner body has ended. */
  protected get isDrained(): boolean {
    return true;
  }

  /** Releases the resources of the subclass. Runs once. */
  protected onEnd(_end: "ended" | "failed"): void {}

  /** Notes that `pull` may succeed, or that `isDrained` has changed. */
  protected changed(): void {
    this.#settle();
    this.onChange?.();
  }

  /** Fails this body, for a reason of the subclass. Does nothing after the end. */
  protected fail(status: number): void {
    if (this.#end !== null) return;
    this.#failedAs = status;
    this.#stop("failed");
    this.onChange?.();
  }

  #settle(): void {
    const { state } = this;
    if (this.#end !== null || state === "open") return;
    this.#end = state;
    this.onEnd(state);
  }

  #stop(end: "ended" | "failed"): void {
    const wasOpen = this.#end === null;
    this.#end ??= end;
    if (!this.#isCancelled) {
      this.#isCancelled = true;
      this.inner.onChange = null;
      this.inner.cancel();
    }
    if (wasOpen) this.onEnd(this.#end);
  }
}

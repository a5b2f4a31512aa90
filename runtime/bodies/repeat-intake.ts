import type { BodyFlow, BodySink } from "../http/client.ts";
import type { RequestIntake } from "./request-intake.ts";

/**
 * Passes a body that an intake can read again on to a sink, from its first byte on. The body does not begin within this call: the
 * sink has its flow by then.
 *
 * @param onBroken Called when the rest of the body is lost, or the whole body before it begins.
 */
export function repeatIntake(
  intake: Pick<RequestIntake, "feed" | "grant">,
  sink: BodySink,
  onBroken: () => void,
): BodyFlow {
  const state = { isPaused: false, ungrantedBytes: 0, isRenewing: false };
  // In a later turn: the intake reads on within `grant`.
  const renew = (): void => {
    if (state.isRenewing || state.isPaused || state.ungrantedBytes === 0) return;
    state.isRenewing = true;
    setImmediate(() => {
      state.isRenewing = false;
      if (state.isPaused) return;
      const bytes = state.ungrantedBytes;
      state.ungrantedBytes = 0;
      intake.grant(bytes);
    });
  };
  setImmediate(() => {
    const hasBegun = intake.feed({
      chunk(bytes) {
        state.ungrantedBytes += bytes.length;
        sink.chunk(bytes);
        renew();
      },
      end: () => sink.end(),
      broken: onBroken,
    });
    // A read for the worker has failed meanwhile.
    if (!hasBegun) onBroken();
  });
  return {
    pause() {
      state.isPaused = true;
    },
    resume() {
      state.isPaused = false;
      renew();
    },
  };
}

/** A request for a profile of one process of the server. */
export interface ProfileRequest {
  /** The primary, or a worker by its number or its process id. */
  target: "primary" | number;
  kind: "cpu" | "heap";
  /** Length of a CPU profile. The client may end it earlier. */
  seconds: number;
}

/** Longest CPU profile. A longer one would not fit into memory. */
export const MOST_SECONDS = 600;

/** An event of a profile. The first one is `begun`. */
export type ProfileEvent =
  /**
   * The process can be profiled until the stream of events ends. `inspectorUrl` leads to a session of the DevTools protocol, from
   * this machine only; `null`: the events bring the profile.
   */
  | { type: "begun"; process: string; pid: number; inspectorUrl: string | null }
  /** The next characters of the profile. */
  | { type: "text"; text: string }
  /** The profile is complete. */
  | { type: "done" };

/** The form of a request, for messages. */
export const PROFILE_EXPECTED = `{"target": "primary" or a worker's number or process id, "kind": "cpu" or "heap", "seconds": 1 to ${MOST_SECONDS}}`;

/** Parses the body of a request; `null`: it has another form. */
export function parseProfileRequest(body: string): ProfileRequest | null {
  let value: Partial<Record<keyof ProfileRequest, unknown>> | null;
  try {
    // Members of another type are refused below.
    value = JSON.parse(body) as typeof value;
  } catch {
    return null;
  }
  const { target, kind, seconds } = value ?? {};
  if (target !== "primary" && !isWhole(target)) return null;
  if (kind !== "cpu" && kind !== "heap") return null;
  const isLength = typeof seconds === "number" && seconds > 0 && seconds <= MOST_SECONDS;
  return isLength ? { target, kind, seconds } : null;
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

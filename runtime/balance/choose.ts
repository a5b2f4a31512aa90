import { hashText, mixHashes } from "./hash-text.ts";

/** The facts about a server by which a group chooses one. */
export interface Choosable {
  readonly server: { readonly inFlight: number };
  /** Most requests at a time. */
  readonly most: number;
  /** Its share of the requests, relative to the others; above 0. Grows while the server is new. */
  readonly share: number;
  /** Hash of its name. */
  readonly seed: number;
  /** Its credit in the round; only `takeTurn` writes it. */
  turn: number;
}

/** Tells whether a server can take one more request that has failed at the servers `tried`. */
export function canTake({ server, most }: Choosable, tried: readonly object[]): boolean {
  return server.inFlight < most && !tried.includes(server);
}

/**
 * Returns the server with the fewest requests in flight for its share; `null` when none can take one. Several such
 * servers take turns.
 */
export function pickLeastBusy<Choice extends Choosable>(
  choices: readonly Choice[],
  tried: readonly object[],
): Choice | null {
  let least = Infinity;
  for (const choice of choices) {
    const load = choice.server.inFlight / choice.share;
    if (load < least && canTake(choice, tried)) least = load;
  }
  return takeTurn(choices, (choice) => {
    return choice.server.inFlight / choice.share === least && canTake(choice, tried);
  });
}

/** Returns the next server in turn; `null` when none can take a request. */
export function pickInTurn<Choice extends Choosable>(
  choices: readonly Choice[],
  tried: readonly object[],
): Choice | null {
  return takeTurn(choices, (choice) => canTake(choice, tried));
}

/**
 * Returns the next of the servers that may be chosen: the smooth weighted round robin of Nginx. In each round of as many turns as
 * the shares add up to, each server has as many as its share, with those of other servers in between.
 */
function takeTurn<Choice extends Pick<Choosable, "share" | "turn">>(
  choices: readonly Choice[],
  isOpen: (choice: Choice) => boolean,
): Choice | null {
  let total = 0;
  let best: Choice | null = null;
  for (const choice of choices) {
    if (!isOpen(choice)) continue;
    total += choice.share;
    choice.turn += choice.share;
    if (best === null || choice.turn > best.turn) best = choice;
  }
  if (best !== null) best.turn -= total;
  return best;
}

/**
 * Returns the server of a key; `null` when none can take a request.
 *
 * Weighted rendezvous hashing: each server draws a number for the key, and the highest wins. A server that goes or comes moves
 * its own share of the keys and no others. A key whose server cannot take a request goes to its second server.
 */
export function pickByHash<Choice extends Choosable>(
  choices: readonly Choice[],
  tried: readonly object[],
  key: string,
): Choice | null {
  const hash = hashText(key);
  let best: Choice | null = null;
  let highest = -Infinity;
  for (const choice of choices) {
    if (!canTake(choice, tried)) continue;
    // In (0, 1). The logarithm makes the chance of the highest number proportional to the share.
    const drawn = (mixHashes(hash, choice.seed) + 0.5) / 2 ** 32;
    const score = -choice.share / Math.log(drawn);
    if (score > highest) {
      highest = score;
      best = choice;
    }
  }
  return best;
}

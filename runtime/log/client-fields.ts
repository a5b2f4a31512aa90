/** Fields of a request that its access line has. */
export interface ClientFields {
  /** Values: a character for each byte. `undefined`: the request has none. */
  readonly referer: string | undefined;
  readonly userAgent: string | undefined;
}

/** Finds the value of a field in a field block. */
export type FindField = (block: string, name: string) => string | undefined;

/**
 * Creates a function that finds the fields in a field block.
 *
 * It remembers the last block: requests in a row on one connection mostly repeat all their fields, and to compare two
 * blocks takes 20 ns where a search takes 150 ns.
 */
export function createClientFields(find: FindField): (block: string) => ClientFields {
  let lastBlock = "";
  let last: ClientFields = { referer: undefined, userAgent: undefined };
  return (block) => {
    if (block !== lastBlock) {
      lastBlock = block;
      last = { referer: find(block, "referer"), userAgent: find(block, "user-agent") };
    }
    return last;
  };
}

/** The fields of a request whose line has none of them. */
export const NO_CLIENT_FIELDS: ClientFields = { referer: undefined, userAgent: undefined };

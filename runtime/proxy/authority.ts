/**
 * Returns the authority of an upstream server in its own URLs: its host, with the port if it is not that of the scheme.
 *
 * @param name The server as the config names it: `http://10.0.0.1:3000`, `unix:/run/api.sock`.
 * @returns `localhost` for a Unix socket, which has no name of its own.
 */
export function toAuthority(name: string): string {
  return URL.canParse(name) ? new URL(name).host || "localhost" : "localhost";
}

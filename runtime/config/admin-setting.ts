import { isIP } from "node:net";
import type { Parsed, SettingType } from "./setting-types.ts";

/** The place of the admin listener. `host`: a name, or an IP address without brackets. `path` is absolute in a `Config`. */
export type AdminAddress =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Begins the name of a file that has the token. */
export const FILE_PREFIX = "file:";

/** A token of random letters and digits with this length cannot be guessed. */
export const LEAST_TOKEN_LENGTH = 16;

/** Groups: host, port. */
const ADDRESS = /^(?:(\[[0-9a-f:.]+\]|[\w.-]+|\*):)?(\d{1,5})$/i;

const TOKEN_EXPECTED = `a text of at least ${LEAST_TOKEN_LENGTH} letters, digits and punctuation marks without spaces, or "file:" with the path of a file that has it`;

/** An address for operators: `127.0.0.1:9090`, a port of this machine alone, or `unix:` with a path. */
export function adminAddress(): SettingType<string | number, AdminAddress> {
  return {
    placeholder: "ADDRESS",
    expected:
      'an address with a port, such as "127.0.0.1:9090", or a socket, such as "unix:/run/edgicorn/admin.sock"',
    parse: (value) => (typeof value === "number" ? parseAddress(String(value)) : parseText(value)),
    inHandler: null,
  };
}

/** A secret of operators. `admin-token.ts` replaces it with its digest. */
export function adminToken(): SettingType<string, string> {
  return {
    placeholder: "TOKEN",
    expected: TOKEN_EXPECTED,
    parse: (value) => (typeof value === "string" && isTokenText(value) ? { value } : null),
    // The message must not show the token.
    explain: (value) => ({
      key: "",
      value: typeof value === "string" ? `(${value.length} characters)` : typeof value,
      expected: TOKEN_EXPECTED,
    }),
    inHandler: null,
  };
}

/** Formats an address as a setting has it. */
export function formatAdminAddress(address: AdminAddress): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  const { host, port } = address;
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

function parseText(value: unknown): Parsed<AdminAddress> {
  if (typeof value !== "string") return null;
  if (!value.startsWith("unix:")) return parseAddress(value);
  const path = value.slice("unix:".length);
  const isPath = path !== "" && !path.endsWith("/") && !path.includes("\0");
  return isPath ? { value: { kind: "unix", path } } : null;
}

function parseAddress(text: string): Parsed<AdminAddress> {
  const [, name = "127.0.0.1", digits = ""] = ADDRESS.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) return null;
  const host = name === "*" ? "::" : name.replace(/^\[|\]$/g, "");
  const isAddress = isIP(host) !== 0 || (!name.startsWith("[") && !/^[\d.]+$/.test(host));
  return isAddress ? { value: { kind: "tcp", host: host.toLowerCase(), port } } : null;
}

function isTokenText(text: string): boolean {
  return text.startsWith(FILE_PREFIX) ? text.length > FILE_PREFIX.length : isToken(text);
}

/** Tells whether a text can be a token: visible ASCII characters, which a header field can carry. */
export function isToken(text: string): boolean {
  return text.length >= LEAST_TOKEN_LENGTH && /^[!-~]+$/.test(text);
}

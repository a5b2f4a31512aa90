import { createSecretNames, DEFAULT_SECRET_NAMES } from "../lib/secret-names.ts";

/** Stands in the place of a secret. */
export const MASK = "***";

const SECRETS = [
  "api_key",
  "apikey",
  "authorization",
  "credential",
  "credentials",
  "hash",
  "jwt",
  "passwd",
  "password",
  "pwd",
  "secret",
  "token",
  // Names with the hashes of their passwords.
  "users",
];

const isSecret = createSecretNames(SECRETS);

/** Fields of requests, whose values are secrets more often. */
const isSecretField = createSecretNames([...SECRETS, ...DEFAULT_SECRET_NAMES, "cookie"]);

const isSecretParameter = createSecretNames(DEFAULT_SECRET_NAMES);

/** The part of a URL before its host: user and password. */
const CREDENTIALS = /(\b[a-z][a-z\d+.-]*:\/\/)[^\s/?#@]+@/gi;

/** A parameter of a query. */
const PARAMETER = /([?&])([^=&#\s]+)=([^&#\s]*)/g;

/**
 * Returns a copy of plain data without its secrets: values of members and fields with such names, credentials in URLs, and
 * parameters with such names.
 *
 * @param name Name of the value in the config.
 */
export function maskSecrets(value: unknown, name: string): unknown {
  return mask(value, { name, isField: false });
}

function mask(value: unknown, { name, isField }: { name: string; isField: boolean }): unknown {
  // Numbers and switches are no secrets.
  const mayHide = typeof value === "string" || (typeof value === "object" && value !== null);
  if (mayHide && (isField ? isSecretField(name) : isSecret(name))) return MASK;
  if (typeof value === "string") return maskText(value);
  if (Array.isArray(value)) return value.map((each) => mask(each, { name: "", isField: false }));
  if (typeof value !== "object" || value === null) return value;
  const areFields = /fields$/i.test(name);
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      mask(each, { name: key, isField: areFields }),
    ]),
  );
}

function maskText(text: string): string {
  return text
    .replace(CREDENTIALS, `$1${MASK}@`)
    .replace(PARAMETER, (whole, mark: string, key: string) =>
      isSecretParameter(key) ? `${mark}${key}=${MASK}` : whole,
    );
}

/** Names of parameters whose values no log has, unless the setting `redactQuery` says otherwise. */
export const DEFAULT_SECRET_NAMES: readonly string[] = [
  "api_key",
  "apikey",
  "auth",
  "code",
  "credential",
  "credentials",
  "jwt",
  "key",
  "pass",
  "passwd",
  "password",
  "pwd",
  "secret",
  "session",
  "sig",
  "signature",
  "token",
];

/**
 * Returns a function that tells whether a parameter's name contains one of these names as whole words: `token` is in `access_token`,
 * `accessToken`, `user[token]` and `%74oken`, and not in `tokens`.
 */
export function createSecretNames(names: readonly string[]): (name: string) => boolean {
  const wanted = names.map(toWords).filter((words) => words !== "__");
  return (name) => {
    const words = toWords(decode(name));
    return wanted.some((each) => words.includes(each));
  };
}

/** `accessToken` -> `_access_token_`. */
function toWords(name: string): string {
  const words = name.slice(0, MOST_CHARACTERS).replaceAll(/([a-z\d])([A-Z])/g, "$1_$2");
  return `_${words
    .toLowerCase()
    .split(/[^a-z\d]+/)
    .filter((word) => word !== "")
    .join("_")}_`;
}

const MOST_CHARACTERS = 200;

/** Decodes a text of a query as far as its encoding is well-formed. */
export function decode(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    // Malformed encoding. The well-formed part may still hold the name.
    return text.replaceAll(/%[0-7][\da-f]/gi, (encoded) => decodeURIComponent(encoded));
  }
}

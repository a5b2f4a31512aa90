/**
 * Tells whether the name of a file changes with its content, because a build tool put a hash of the content into it:
 * `app.3f9a1c2b.js`, `index-D8wr3Tda.css`, `chunk-X2ABC7DE.js`.
 *
 * A false yes keeps an old file in browsers for a year, a false no costs a revalidation. Therefore words, dates, versions
 * and numbers are never hashes, and only types of files count that build tools name this way.
 *
 * @param path Decoded: `/assets/app.3f9a1c2b.js`.
 * @param siblings Names of all files in its folder.
 */
export function isHashedName(path: string, siblings: Iterable<string> = []): boolean {
  const match = NAME.exec(path);
  if (match === null) return false;
  if (TOOL_FOLDERS.test(path)) return true;
  const { stem = "" } = match.groups ?? {};
  if ((isHex(stem) && !UUID.test(stem)) || isBase32(stem) || isBase64Url(stem)) return true;
  return LOOSE.test(path) && /[A-Z\d_-]/.test(stem.slice(-8)) && isBuildFolder(siblings);
}

/**
 * Tells whether the names of all scripts and styles in a folder end in eight characters. There must be at least two such
 * files, and the eight characters of one must be a hash without doubt. A third of the hashes of Vite have no digit between letters, and look like words.
 */
function isBuildFolder(names: Iterable<string>): boolean {
  let count = 0;
  let hasHash = false;
  for (const name of names) {
    if (!SCRIPT_OR_STYLE.test(name)) continue;
    if (!LOOSE.test(name)) return false;
    count++;
    hasHash ||= isBase64Url(name.slice(0, name.lastIndexOf(".")));
  }
  return hasHash && count > 1;
}

const SCRIPT_OR_STYLE = /\.(?:m?js|css)$/;
const LOOSE = /[^/]-[\w-]{8}\.(?:m?js|css)(?:\.map)?$/;

/** Types of files that build tools name by their content. A page is not among them. */
const NAME =
  /\/(?<stem>[^/]+?)(?:\.(?:bundle|chunk|min|module|worker))?\.(?:avif|cjs|css|eot|gif|ico|jpe?g|js|json|m4a|mjs|mp[34]|og[ag]|otf|png|svg|ttf|wasm|wav|web[mp]|woff2?)(?:\.map)?(?:\.(?:br|gz|zst))?$/;

/** Folders in which Astro, SvelteKit and Next.js put nothing but files that never change. */
const TOOL_FOLDERS = /\/(?:_astro|_app\/immutable|_next\/static)\//;

const UUID = /[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** webpack, Rollup before version 4, Parcel, Django, Rails, Hugo, Gatsby: digits and letters, in usual lengths. */
function isHex(stem: string): boolean {
  const hash = /[._-]([\da-f]+)$/.exec(stem)?.[1];
  if (hash === undefined || !HEX_LENGTHS.has(hash.length)) return false;
  return /\d/.test(hash) && /[a-f]/.test(hash);
}

const HEX_LENGTHS: ReadonlySet<number> = new Set([8, 10, 12, 16, 20, 32, 40, 64]);

/** esbuild, Angular. */
function isBase32(stem: string): boolean {
  const hash = /-([A-Z2-7]{8})$/.exec(stem)?.[1];
  return hash !== undefined && hasInnerDigit(hash);
}

/** Vite, Rollup 4, Nuxt. */
function isBase64Url(stem: string): boolean {
  const hash = /[.-]([\w-]{8})$/.exec(stem)?.[1];
  if (hash === undefined || !hasInnerDigit(hash)) return false;
  return /[A-Z]/.test(hash) && /[a-z]/.test(hash) && !/^[-_]|[-_]$|[-_].*[-_]/.test(hash);
}

/** `Chapter1` and `2024Plan` are words. */
function hasInnerDigit(hash: string): boolean {
  return /[^\d]\d+[^\d]/.test(hash);
}

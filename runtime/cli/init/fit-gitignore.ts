/** Lines of a .gitignore: keys, secrets, the state folder, packages, and variables of one machine. */
const LINES = ["certs/*.key", "secrets/", ".edgicorn/", "node_modules/", ".env.local"] as const;

/** Other patterns that have the effect of a line. */
const ALSO: Readonly<Record<(typeof LINES)[number], readonly string[]>> = {
  "certs/*.key": ["*.key", "certs", "certs/*"],
  "secrets/": ["secrets/*"],
  ".edgicorn/": [],
  "node_modules/": ["**/node_modules"],
  ".env.local": [".env*", ".env.*", "*.local", ".env*.local"],
};

/** Adds the lines that are missing at the end. */
export function fitGitignore(text: string): { text: string; added: string[] } {
  const eol = text.includes("\r\n") ? "\r\n" : "\n";
  const present = new Set(text.split(/\r?\n/).map(normalize));
  const added = LINES.filter(
    (line) => ![line, ...ALSO[line]].some((pattern) => present.has(normalize(pattern))),
  );
  const before = text === "" || text.endsWith("\n") ? text : text + eol;
  return { text: before + added.map((line) => line + eol).join(""), added };
}

/** `/node_modules/` and `node_modules` ignore the same folder. */
function normalize(line: string): string {
  return line.trim().replace(/^\//, "").replace(/\/$/, "");
}

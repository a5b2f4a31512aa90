/** Returns a size of Nginx (`8k`, `10m`, `1g`) in our form, `0b` for none; `null`: it is no size. */
export function toSize(text: string): string | null {
  const [, count, unit = ""] = /^(\d+)([kmg]?)$/i.exec(text) ?? [];
  if (count === undefined) return null;
  if (Number(count) === 0) return "0b";
  const name = { k: "kb", m: "mb", g: "gb", "": "b" }[unit.toLowerCase()] ?? "b";
  return `${Number(count)}${name}`;
}

const SECONDS: Readonly<Record<string, number>> = {
  y: 31_536_000,
  M: 2_592_000,
  w: 604_800,
  d: 86_400,
  h: 3_600,
  m: 60,
  s: 1,
  ms: 0.001,
  "": 1,
};

/** Returns a time of Nginx (`30`, `1d 12h`, `500ms`) in seconds; `null`: it is none. */
export function toSeconds(text: string): number | null {
  const parts = [...text.matchAll(/(\d+)(ms|[yMwdhms]?)\s*/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text) return null;
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (SECONDS[unit] ?? 1), 0);
}

/** Longest time that most settings take. */
const DAY_SECONDS = 86_400;

/** Returns a time of Nginx in our form, at most the longest that a setting takes: `1h`, `90s`, `500ms`. `null`: it is none. */
export function toTime(text: string, mostSeconds: number = DAY_SECONDS): string | null {
  const written = toSeconds(text);
  if (written === null) return null;
  const seconds = Math.min(written, mostSeconds);
  if (seconds >= 3_600 && seconds % 3_600 === 0) return `${seconds / 3_600}h`;
  if (seconds >= 60 && seconds % 60 === 0) return `${seconds / 60}m`;
  return Number.isInteger(seconds) ? `${seconds}s` : `${Math.round(seconds * 1_000)}ms`;
}

/** Returns a rate of Nginx (`10r/s`, `30r/m`) in our form; `null`: it is none. */
export function toRate(text: string): string | null {
  const [, count, unit] = /^(\d+)r\/([sm])$/.exec(text) ?? [];
  return count === undefined ? null : `${Number(count)}/${unit === "s" ? "s" : "min"}`;
}

/** Tells whether a text has variables of Nginx. */
export function hasVariables(text: string): boolean {
  return /\$[\w{]/.test(text);
}

/** Returns the path of a file that is named relative to the folder of Nginx's config. */
export function toNginxFile(file: string): string {
  return file.startsWith("/") ? file : `/etc/nginx/${file}`;
}

/** Returns a value of `Config` in the words of the config file: `30s`, `1mb`, `off`. @param field Its name, with the unit. */
export function showValue(field: string, value: unknown): string {
  if (value === null || value === false) return "off";
  if (value === true) return "on";
  if (typeof value === "number") {
    if (field.endsWith("Ms")) return showDuration(value);
    return /Bytes(?:PerSecond)?$/.test(field) ? toUnit(value, SIZES) : String(value);
  }
  if (typeof value === "string") return value;
  const isList = Array.isArray(value) && value.every((each) => typeof each !== "object");
  return isList ? value.map((each) => showValue(field, each)).join(",") : JSON.stringify(value);
}

/** Returns a duration with the largest unit in which it is a whole number: `60000` is `1m`, and `2.5` is `2.5ms`. */
export function showDuration(ms: number): string {
  return Number.isInteger(ms) ? toUnit(ms, DURATIONS) : `${ms}ms`;
}

type Units = readonly (readonly [name: string, size: number])[];

const DURATIONS: Units = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
];

const SIZES: Units = [
  ["gb", 1024 ** 3],
  ["mb", 1024 ** 2],
  ["kb", 1024],
  ["b", 1],
];

/** Uses the largest unit in which the value is a whole number. */
function toUnit(value: number, units: Units): string {
  const [name, size] = units.find((unit) => value % unit[1] === 0) ?? ["", 1];
  return value === 0 ? `0${units.at(-1)?.[0] ?? ""}` : `${value / size}${name}`;
}

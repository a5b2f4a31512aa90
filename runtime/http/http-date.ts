/**
 * Parses an HTTP-date in any of the three forms that a recipient must accept (RFC 9110 section 5.6.7).
 *
 * `Date.parse` is not suitable: it reads the asctime form as local time and accepts many strings that are not an
 * HTTP-date.
 *
 * @returns Milliseconds since the epoch, or `null` if the value is not an HTTP-date.
 */
export function parseHttpDate(value: string, nowMs: number): number | null {
  const match = IMF_FIXDATE.exec(value) ?? RFC_850.exec(value) ?? ASCTIME.exec(value);
  const part = match?.groups;
  if (part === undefined) return null;
  const month = MONTHS.indexOf(part["month"] ?? "") / 3;
  const day = Number(part["day"]);
  const hour = Number(part["hour"]);
  const minute = Number(part["minute"]);
  const second = Number(part["second"]);
  const digits = part["year"] ?? "";
  const year = digits.length === 2 ? toFullYear(Number(digits), nowMs) : Number(digits);
  if (!Number.isInteger(month) || month < 0 || hour > 23 || minute > 59 || second > 60) return null;
  const date = new Date(0);
  // `Date.UTC` is not suitable: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month, day);
  if (date.getUTCDate() !== day) return null;
  return date.setUTCHours(hour, minute, second);
}

const MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec";
const TIME = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;
const SHORT_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day";
const MONTH = "(?<month>[A-Z][a-z]{2})";
const IMF_FIXDATE = new RegExp(
  `^${SHORT_DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`,
);
const RFC_850 = new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`);
const ASCTIME = new RegExp(`^${SHORT_DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`);

/**
 * Returns the year for two digits. A year that appears to be more than 50 years ahead is the latest past year with
 * these digits (RFC 9110 section 5.6.7).
 */
function toFullYear(digits: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + digits;
  return year > thisYear + 50 ? year - 100 : year;
}

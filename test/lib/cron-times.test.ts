import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CronTimes, findScheduleProblem } from "../../runtime/lib/cron-times.ts";
import { toSchedules } from "../../runtime/lib/schedules.ts";

const DEFAULTS = { timeZone: "UTC", overlap: "skip", catchUp: "one" } as const;

/** The first times after a moment, as `MM-DDTHH:MM` in UTC. */
function list(cron: string, timeZone: string, after: string, count: number): string[] {
  const times = new CronTimes({ cron, timeZone });
  const found: string[] = [];
  let at: number | null = Date.parse(after);
  while (found.length < count) {
    at = times.next(at);
    if (at === null) break;
    found.push(new Date(at).toISOString().slice(5, 16));
  }
  return found;
}

describe("CronTimes", () => {
  const cases: [name: string, cron: string, zone: string, after: string, times: string[]][] = [
    [
      "a time that the spring leaves out comes once, an hour later",
      "30 2 * * *",
      "Europe/Berlin",
      "2026-03-28T00:00Z",
      ["03-28T01:30", "03-29T01:00", "03-30T00:30"],
    ],
    [
      "a time that the autumn repeats comes once",
      "30 2 * * *",
      "Europe/Berlin",
      "2026-10-24T00:00Z",
      ["10-24T00:30", "10-25T00:30", "10-26T01:30"],
    ],
    [
      "intervals stay real in spring",
      "*/15 * * * *",
      "Europe/Berlin",
      "2026-03-29T00:35Z",
      ["03-29T00:45", "03-29T01:00", "03-29T01:15"],
    ],
    [
      "intervals stay real in autumn",
      "*/15 * * * *",
      "Europe/Berlin",
      "2026-10-25T00:40Z",
      ["10-25T00:45", "10-25T01:00", "10-25T01:15", "10-25T01:30", "10-25T01:45", "10-25T02:00"],
    ],
    [
      "midnight that does not exist comes once",
      "0 0 * * *",
      "Africa/Cairo",
      "2026-04-23T00:00Z",
      ["04-23T22:00", "04-24T21:00"],
    ],
    [
      "a change by half an hour keeps intervals real",
      "*/15 * * * *",
      "Australia/Lord_Howe",
      "2026-04-04T14:40Z",
      ["04-04T14:45", "04-04T15:00", "04-04T15:15", "04-04T15:30"],
    ],
    ["the last day of a month", "0 0 L * *", "UTC", "2028-02-01T00:00Z", ["02-29T00:00"]],
    ["both Sundays", "0 0 * * 7", "UTC", "2026-12-01T00:00Z", ["12-06T00:00", "12-13T00:00"]],
    ["names", "@daily", "Asia/Tokyo", "2026-12-01T00:00Z", ["12-01T15:00"]],
  ];
  for (const [name, cron, zone, after, times] of cases) {
    it(name, () => assert.deepEqual(list(cron, zone, after, times.length), times));
  }

  it("runs a job of each night once a day around the changes of the clock", () => {
    for (const timeZone of ["Europe/Berlin", "America/New_York"]) {
      const times = new CronTimes({ cron: "30 2 * * *", timeZone });
      for (const year of [2024, 2026, 2027, 2030]) {
        for (const month of ["03", "10", "11"]) {
          let at = Date.parse(`${year}-${month}-01T12:00Z`);
          for (let day = 0; day < 28; day++) {
            const next = times.next(at);
            assert.ok(next !== null);
            const hours = (next - at) / 3_600_000;
            if (day > 0) assert.ok(hours > 22 && hours < 26, `${timeZone} ${at}: ${hours} hours`);
            at = next;
          }
        }
      }
    }
  });

  it("lists due times, the last hundred of many", () => {
    const times = new CronTimes({ cron: "* * * * *", timeZone: "UTC" });
    const startMs = Date.parse("2026-01-01T00:00Z");
    assert.deepEqual(times.between(startMs, startMs + 59_999), { times: [], hasMore: false });
    assert.deepEqual(times.between(startMs, startMs + 120_000), {
      times: [startMs + 60_000, startMs + 120_000],
      hasMore: false,
    });
    const { times: many, hasMore } = times.between(startMs, startMs + 24 * 3_600_000);
    assert.equal(hasMore, true);
    assert.equal(many.length, 100);
    assert.equal(many.at(-1), startMs + 24 * 3_600_000);
    assert.equal(many[0], startMs + 24 * 3_600_000 - 99 * 60_000);
  });
});

describe("findScheduleProblem()", () => {
  const cases: [cron: string, timeZone: string, problem: RegExp | null][] = [
    ["0 3 * * 1-5", "UTC", null],
    ["*/10 * * * * *", "Europe/Berlin", null],
    ["61 * * * *", "UTC", /"61 \* \* \* \*".*Invalid value for minute: 61/],
    ["0 0 30 2 *", "UTC", /names no time/],
    ["@sometimes", "UTC", /"@sometimes", expected fields/],
    ["0 3 * * *", "Mars/Olympus", /time zone "Mars\/Olympus", expected a name such as/],
  ];
  for (const [cron, timeZone, problem] of cases) {
    it(`${cron} in ${timeZone}`, () => {
      const found = findScheduleProblem({ ...DEFAULTS, cron, timeZone });
      if (problem === null) assert.equal(found, null);
      else assert.match(found ?? "", problem);
    });
  }
});

describe("toSchedules()", () => {
  it("reads a text, an object and a list", () => {
    const daily = { ...DEFAULTS, cron: "0 3 * * *" };
    assert.deepEqual(toSchedules("0  3 * * * "), [daily]);
    assert.deepEqual(toSchedules([{ cron: "0 3 * * *" }, "@hourly"]), [
      daily,
      { ...DEFAULTS, cron: "@hourly" },
    ]);
    const own = { cron: "0 3 * * *", timeZone: "Asia/Tokyo", overlap: "allow", catchUp: "all" };
    assert.deepEqual(toSchedules(own), [own]);
  });

  it("refuses all else", () => {
    const wrong = [
      undefined,
      null,
      7,
      [],
      "daily",
      "0 3 * *",
      "0 0 0 3 * * 2026",
      { cron: 5 },
      { cron: "0 3 * * *", overlap: "maybe" },
      { cron: "0 3 * * *", catchUp: true },
      { cron: "0 3 * * *", zone: "UTC" },
      { cron: "0 3 * * *", timeZone: 1 },
      ["0 3 * * *", "0 3 * * *"],
    ];
    for (const value of wrong) assert.equal(toSchedules(value), null, JSON.stringify(value));
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HANDLER_SETTINGS } from "../../runtime/config/handler-settings.ts";
import { SETTING_NAMES, settingOf } from "../../runtime/config/settings.ts";
import { readPage, withSettingsTable } from "../../scripts/settings-table.ts";

function duplicatesOf(names: readonly string[]): string[] {
  return names.filter((name, index) => names.indexOf(name) !== index);
}

describe("SETTINGS", () => {
  it("has defaults that its own types accept", () => {
    const refused = SETTING_NAMES.filter((name) => {
      const { type, default: value } = settingOf(name);
      return type.parse(value) === null;
    });
    assert.deepEqual(refused, []);
  });

  it("names each field, each handler key and each name elsewhere once", () => {
    const others = SETTING_NAMES.flatMap((name) => settingOf(name).elsewhere ?? []);
    const own = SETTING_NAMES.map((name) => name.toLowerCase());
    assert.deepEqual(duplicatesOf(SETTING_NAMES.map((name) => settingOf(name).field)), []);
    assert.deepEqual(duplicatesOf(HANDLER_SETTINGS.map(({ key }) => key)), []);
    assert.deepEqual(duplicatesOf([...others, ...own]), []);
  });

  it("is the table of docs/configuration.md (`npm run docs` writes it)", () => {
    const page = readPage();
    assert.equal(page, withSettingsTable(page));
  });
});

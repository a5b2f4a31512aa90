import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeenBefore } from "../../runtime/lib/seen-before.ts";

describe("SeenBefore", () => {
  it("knows texts that come again, also in turns with a thousand others", () => {
    const seen = new SeenBefore();
    const texts = Array.from({ length: 1000 }, (_, number) => `etag\n"4-${number.toString(16)}"`);
    assert.deepEqual(
      texts.filter((text) => seen.note(text)),
      [],
    );
    const known = texts.filter((text) => seen.note(text));
    assert.ok(known.length > 980, String(known.length));
  });

  it("takes hardly any new text for a known one", () => {
    const seen = new SeenBefore();
    let wrong = 0;
    for (let number = 0; number < 100_000; number++) {
      if (seen.note(`set-cookie\nsession=${number.toString(36)}`)) wrong++;
    }
    assert.ok(wrong < 20, String(wrong));
  });

  it("distinguishes an empty text from none", () => {
    const seen = new SeenBefore();
    assert.equal(seen.note(""), false);
    assert.equal(seen.note(""), true);
  });
});

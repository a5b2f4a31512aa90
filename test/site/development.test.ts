import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { Development } from "../../runtime/site/development.ts";

describe("Development", () => {
  it("shows why handlers do not load, until they do", async () => {
    const development = new Development();
    await development.refused(
      new RuntimeError("ERR_HANDLER_LOAD", "Cannot load a.ts\na.ts:1:2: x"),
    );
    assert.equal(development.problem?.title, "Cannot load a.ts");
    development.solved();
    assert.equal(development.problem, null);
  });

  it("shows no refusal that is described after a later reload went well", async () => {
    const development = new Development();
    const late = development.refused(new RuntimeError("ERR_CONFIG", "port: found x"));
    development.solved();
    await late;
    assert.equal(development.problem, null);
  });

  it("shows no errors that a developer cannot mend by a save", async () => {
    const development = new Development();
    await development.refused(new RuntimeError("ERR_DRAINING", "stops"));
    assert.equal(development.problem, null);
  });
});

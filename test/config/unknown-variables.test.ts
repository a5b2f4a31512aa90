import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SETTING_NAMES, environmentName } from "../../runtime/config/settings.ts";
import { describeUnknownVariables } from "../../runtime/config/unknown-variables.ts";

describe("describeUnknownVariables()", () => {
  it("says what was probably meant", () => {
    const env = { EDGICORN_WORKER: "4", EDGICORN_PET: "cat", PATH: "/bin", EDGICORN_HTTP: "80" };
    assert.deepEqual(describeUnknownVariables({ EDGICORN_PORT: "80" }), [
      "EDGICORN_PORT is no setting and changes nothing: did you mean EDGICORN_HTTP?",
    ]);
    assert.deepEqual(describeUnknownVariables(env), [
      "EDGICORN_PET is no setting and changes nothing",
      "EDGICORN_WORKER is no setting and changes nothing: did you mean EDGICORN_WORKERS?",
    ]);
  });

  it("has nothing to say of any setting, nor of what names the config file", () => {
    const names = [...SETTING_NAMES.map(environmentName), "EDGICORN_CONFIG"];
    assert.deepEqual(
      describeUnknownVariables(Object.fromEntries(names.map((name) => [name, "1"]))),
      [],
    );
  });
});

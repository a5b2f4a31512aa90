import { describe, it } from "node:test";
import { installWebObjects } from "../../runtime/web/install.ts";
import { assertSame, runPrograms } from "./differential.ts";
import { RESPONSE_PROGRAMS } from "./response-programs.ts";

// Before anything is replaced: what Node does.
const expected = await runPrograms(RESPONSE_PROGRAMS);
installWebObjects();

describe("Response", () => {
  it(`does in ${expected.size} programs what Node's own does`, async () => {
    assertSame(expected, await runPrograms(RESPONSE_PROGRAMS));
  });
});

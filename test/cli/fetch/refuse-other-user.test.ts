import assert from "node:assert/strict";
import { chownSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { refuseOtherUser } from "../../../runtime/cli/fetch/refuse-other-user.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

/** A number that no account of a usual system has. */
const UID = 54_321;

function configOf(
  stateDir: string,
  user: string | null = null,
): Parameters<typeof refuseOtherUser>[0] {
  return { user, group: user, origins: user === null ? {} : { user: "--user" }, stateDir };
}

describe("refuseOtherUser()", () => {
  it("lets root run where the server runs as root, and every other user", async (t) => {
    const dir = temporaryFolder(t);
    await refuseOtherUser(configOf(join(dir, "missing")), 0);
    await refuseOtherUser(configOf(dir, String(UID)), 1000);
    await refuseOtherUser(configOf(dir, String(UID)), undefined);
  });

  it("refuses root beside the setting", async (t) => {
    await assert.rejects(refuseOtherUser(configOf(temporaryFolder(t), String(UID)), 0), {
      code: "ERR_CONFIG",
      message: `Cannot call a handler as root: --user is ${UID}, expected to run as that user (sudo -u '#${UID}' npx edgicorn fetch ...)`,
    });
  });

  it(
    "refuses root beside a state folder of another user",
    { skip: process.getuid?.() === 0 ? false : "needs root" },
    async (t) => {
      const dir = temporaryFolder(t);
      await refuseOtherUser(configOf(dir), 0);
      chownSync(dir, UID, UID);
      await assert.rejects(refuseOtherUser(configOf(dir), 0), {
        code: "ERR_CONFIG",
        message: `Cannot call a handler as root: the state folder ${dir} belongs to user ${UID}, expected to run as that user (sudo -u '#${UID}' npx edgicorn fetch ...)`,
      });
    },
  );
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { verifyPassword } from "../../runtime/auth/password-hash.ts";

const LONG = "averyveryverylongpassword-that-is-longer-than-sixteen";

/** Made by `openssl passwd`, by crypt(3) of libxcrypt and by `htpasswd -s`. */
const HASHES: readonly [password: string, hash: string][] = [
  ["secret", "$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/"],
  ["", "$apr1$r31....x$4VtZ103lmZVnZDu8Hurvd0"],
  ["pässwörd", "$apr1$r31....x$owM7tF/fCJMDH7NfF2sqE/"],
  [LONG, "$apr1$r31....x$EjZbVcsBZYQT/Z1RLGejv."],
  ["secret", "$1$abc$iCQ2D3nhptRYi27fDYv2s1"],
  [LONG, "$1$abc$5zuPC2rHr/365gbgPc/MN."],
  ["secret", "$5$saltstring$C3o4O1TC6aRHF4FI.QSZMXtHbaj2gSXr4sUc/3NcUi."],
  [LONG, "$5$saltstring$wWCWduAbKNis8HRFsISUasbX/uiowIYh3k7ZZXNCICD"],
  [
    "pässwörd",
    "$6$rounds$Uf/ZevwGVNY8n/HvqRLqYGBTTYSN.NhdmCCuRMZbDBPhE.nfqGmU5XcjoqCZqGpIcuyzFfcjrAn.yGmE3NFrH/",
  ],
  [
    "secret",
    "$6$rounds=1000$saltstring$2BkAo106CG84raQcWpAlhyy6TSSkAsL1nfvBCoezLYyerUzY2l8axTvq6NynEt7SQAx3/cdop9ds0po8uaeHq0",
  ],
  ["pässwörd", "$2b$05$abcdefghijklmnopqrstuuZVEMa1pjhlynBQ1qXmSvGBJpN9h1w8G"],
  ["pässwörd", "$2y$05$abcdefghijklmnopqrstuuZVEMa1pjhlynBQ1qXmSvGBJpN9h1w8G"],
  ["password", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="],
];

describe("verifyPassword()", () => {
  it("knows the hashes of other programs, and refuses other passwords", () => {
    for (const [password, hash] of HASHES) {
      assert.equal(verifyPassword(password, hash), true, hash);
      assert.equal(verifyPassword(`${password} `, hash), false, hash);
    }
  });

  it("takes no password for a text that is no hash", () => {
    for (const text of ["", "secret", "$", "$2y$05$short", "$9$a$b", "$apr1$", "{SHA}", "$6$"]) {
      assert.equal(verifyPassword("secret", text), false, text);
    }
  });
});

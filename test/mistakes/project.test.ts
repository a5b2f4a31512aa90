import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describeMistakes } from "./plant.ts";

const HELLO = `export default () => new Response("hello");\n`;
const HANDLER = { "handlers/index.ts": HELLO };

describeMistakes("project", [
  {
    name: "init with a template that is misspelt",
    command: "init",
    files: {},
    flags: ["--template", "recat"],
    code: 78,
    says: [/--template: found "recat"/, /did you mean "react"/],
  },
  {
    name: "init with a template without its flag",
    command: "init",
    files: {},
    flags: ["hono"],
    code: 78,
    says: [/found "hono"/, /expected --template hono/],
  },
  {
    name: "init with a flag of start",
    command: "init",
    files: {},
    flags: ["--http", "3000"],
    code: 78,
    says: [/--http with init/, /expected only --template/],
  },
  {
    name: "init where package.json is no JSON",
    command: "init",
    files: { "package.json": `{\n  "name": "a"\n  "version": "1.0.0"\n}\n` },
    code: 78,
    says: [/package\.json:3:3 \(comma expected\)/, /nothing was written/],
    neverSays: [/created/],
  },
  {
    name: "init where the scripts of package.json are a text",
    command: "init",
    files: { "package.json": `{ "scripts": "node ." }` },
    code: 78,
    says: [/"scripts" of package\.json: found "node \."/, /expected an object/],
  },
  {
    name: "init where tsconfig.json is no JSON",
    command: "init",
    files: { "tsconfig.json": `compilerOptions:\n  strict: true\n` },
    code: 0,
    says: [/tsconfig\.json:1:1 cannot be read/, /should include "handlers"/, /^kept +tsconfig/m],
  },
  {
    name: "init where a tsconfig.json has project references only",
    command: "init",
    files: { "tsconfig.json": `{ "files": [], "references": [{ "path": "./app" }] }` },
    code: 0,
    says: [/tsc does not look at the handlers/, /include "handlers"/],
  },
  {
    name: "init where the script dev does something else",
    command: "init",
    files: { "package.json": `{ "name": "a", "scripts": { "dev": "vite" } }` },
    code: 0,
    says: [/another script "dev"/, /npx edgicorn dev/],
  },
  {
    name: "init in a project of Express",
    command: "init",
    files: { "package.json": `{ "name": "a", "dependencies": { "express": "^5.0.0" } }` },
    code: 0,
    says: [/package\.json has express/, /fromNode\(app\)/, /docs\/recipes\.md#express/],
  },
  {
    name: "init in a project of NestJS, which has Express too",
    command: "init",
    files: {
      "package.json": `{ "name": "a", "dependencies": { "express": "5", "@nestjs/core": "11" } }`,
    },
    code: 0,
    says: [/package\.json has @nestjs\/core/, /docs\/recipes\.md#nestjs/],
    neverSays: [/has express/],
  },
  {
    name: "init where handlers is a file",
    command: "init",
    files: { handlers: "" },
    code: 78,
    says: [/handlers/, /found a file where a folder is needed/],
  },
  {
    name: "init where there are two config files",
    command: "init",
    files: { "edgicorn.config.ts": "", "edgicorn.config.json": "{}" },
    code: 78,
    says: [/edgicorn\.config\.ts and edgicorn\.config\.json/, /expected one of them/],
    neverSays: [/created/],
  },
  {
    name: "a file of variables that is missing",
    command: "check",
    files: HANDLER,
    env: { EDGICORN_ENV_FILE: "prod.env" },
    code: 78,
    says: [/EDGICORN_ENV_FILE: found no file at prod\.env/, /expected a file of NAME=value lines/],
  },
  {
    name: "a file of variables that is a folder",
    command: "check",
    files: { ...HANDLER, "config/a.env": "" },
    env: { EDGICORN_ENV_FILE: "config" },
    code: 78,
    says: [/EDGICORN_ENV_FILE: found a folder at config/],
  },
  {
    name: "a .env that cannot be read",
    command: "check",
    files: HANDLER,
    // A user without rights would do, but tests may run as root.
    prepare: (dir) => symlinkSync(".env", join(dir, ".env")),
    code: 78,
    says: [
      /Cannot read \.env: found .*ELOOP/,
      /expected a file that this user may read, or EDGICORN_ENV_FILE=off/,
    ],
  },
  {
    name: "a line of .env without an equals sign",
    command: "check",
    files: { ...HANDLER, ".env": "A=1\nTOKEN: hunter2\n" },
    code: 0,
    says: [/\.env:2 sets no variable/, /expected NAME=value/, /1 variable from \.env/],
    neverSays: [/hunter2/],
  },
  {
    name: "a .env that an editor saved in UTF-16",
    command: "check",
    files: { ...HANDLER, ".env": Buffer.from("A=1\r\nB=2\r\n", "utf16le") },
    code: 78,
    says: [/Cannot use \.env:1: found a NUL character/, /expected a text file in UTF-8/],
  },
  {
    name: "a value in .env whose quote never closes",
    command: "check",
    files: { ...HANDLER, ".env": 'A=1\nTOKEN="hunter2\n' },
    code: 0,
    says: [/\.env:2 .* found a " that opens and never closes/, /expected a second one/],
    neverSays: [/hunter2/],
  },
  {
    name: "a setting in .env with a wrong value",
    command: "check",
    files: { ...HANDLER, ".env": "EDGICORN_WORKERS=many\n" },
    code: 78,
    says: [/EDGICORN_WORKERS: found "many"/, /expected/],
  },
  {
    name: "a setting in .env that is misspelt",
    command: "check",
    files: { ...HANDLER, ".env": "EDGICORN_WORKRES=2\n" },
    code: 0,
    says: [/EDGICORN_WORKRES is no setting/, /did you mean EDGICORN_WORKERS/],
  },
  {
    name: "a key and the state folder in a Git work tree",
    command: "start",
    files: { ...HANDLER, ".gitignore": "node_modules/\n" },
    flags: ["--https", "0"],
    prepare: (dir) => void execFileSync("git", ["init", "--quiet", dir]),
    meanwhile: async (server) => {
      await server.until(({ msg }) => msg?.startsWith("the state folder") === true);
    },
    says: [
      /the TLS key certs\/localhost\.key lies in a Git work tree/,
      /add certs\/\*\.key to \.gitignore/,
      /the state folder \.edgicorn\/ lies in a Git work tree/,
    ],
  },
  {
    name: "a key that was committed before it was ignored",
    command: "check",
    files: {
      ...HANDLER,
      ".gitignore": "site/.edgicorn/\ncerts/\n",
      "site/handlers/index.ts": HELLO,
      "site/certs/shop.key": "",
      "site/certs/shop.crt": "",
    },
    flags: [
      "--handlers",
      "site/handlers",
      "--certs",
      "site/certs",
      "--state-dir",
      "site/.edgicorn",
    ],
    prepare: (dir) => {
      execFileSync("git", ["init", "--quiet", dir]);
      execFileSync("git", ["add", "--force", "site/certs/shop.key"], { cwd: dir });
    },
    says: [/site\/certs\/shop\.key lies/, /git rm --cached site\/certs\/shop\.key/],
    neverSays: [/state folder/],
  },
  {
    name: "a config file with a misspelt key",
    command: "check",
    files: {
      ...HANDLER,
      "edgicorn.config.ts": `import { defineConfig } from "edgicorn";\nexport default defineConfig({ htttp: 1 });`,
    },
    code: 78,
    says: [/htttp in edgicorn\.config\.ts/, /did you mean "http"/],
  },
  {
    name: "a config file with a value of another type",
    command: "check",
    files: { ...HANDLER, "edgicorn.config.ts": `export default { requestTimeout: "soon" };` },
    code: 78,
    says: [/requestTimeout in edgicorn\.config\.ts: found "soon"/, /expected/],
  },
  {
    name: "a config file with a syntax error",
    command: "check",
    files: { ...HANDLER, "edgicorn.config.ts": `export default {\n  workers: 2,,\n};\n` },
    code: 78,
    says: [/edgicorn\.config\.ts:2/, /found ","/],
  },
  {
    name: "a config file that imports a package that is not installed",
    command: "check",
    files: { ...HANDLER, "edgicorn.config.ts": `import "dotenv/config";\nexport default {};\n` },
    code: 78,
    says: [/edgicorn\.config\.ts/, /dotenv/],
  },
  {
    name: "a config file without a default export",
    command: "check",
    files: { ...HANDLER, "edgicorn.config.ts": `export const config = { http: 1 };\n` },
    code: 78,
    says: [/edgicorn\.config\.ts/, /expected "export default defineConfig/],
  },
]);

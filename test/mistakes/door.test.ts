import { describeMistakes } from "./plant.ts";

const HANDLER = { "handlers/index.ts": `export default () => new Response("hello");\n` };

/** Settings of the front door that cannot be: place and remedy. */
const SETTINGS: [flag: string, value: string, says: RegExp[]][] = [
  ["--tls-ciphers", "ECDHE+AESGMC", [/OpenSSL knows no such suite/, /such as "ECDHE\+AESGCM:/]],
  ["--tls-ciphers", "TLS_AES_128_GCM_SHA256", [/of TLS 1\.3, which are always offered/, /ECDHE/]],
  ["--tls-min-version", "1.1", [/expected "1\.2" or "1\.3"/]],
  ["--tls-min-version", "TLSv1.3", [/expected "1\.2" or "1\.3"/]],
  ["--http", "8080x", [/a port from 1 to 65535/]],
  ["--http", "65616", [/a port from 1 to 65535/]],
  ["--http", "-1", [/a port from 1 to 65535/]],
  ["--https", "on", [/a port from 1 to 65535, 0 for any free port, or "off"/]],
  ["--host", "127.0.0.1:8080", [/an IP address, a host name, or "\*"/]],
  ["--host", "https://example.com", [/an IP address, a host name, or "\*"/]],
  ["--header-count-limit", "200", [/a whole number from 1 to 98/]],
  ["--max-connections", "many", [/a whole number/]],
];

describeMistakes("door", [
  ...SETTINGS.map(([flag, value, says]) => ({
    name: `${flag} ${value}`,
    command: "check" as const,
    files: HANDLER,
    flags: [flag, value],
    code: 78,
    says: [
      new RegExp(`${flag}: found "?${value.replaceAll(/[+.*]/g, String.raw`\$&`)}"?`),
      ...says,
    ],
  })),
  {
    name: "the name that Nginx has for the suites of TLS, in the config file",
    command: "check",
    files: {
      ...HANDLER,
      "edgicorn.config.ts": `export default { sslCiphers: "HIGH" };\n`,
    },
    code: 78,
    says: [/edgicorn\.config\.ts/, /"?sslCiphers"?/, /tlsCiphers/],
  },
  {
    name: "a version of TLS as a number, in the config file",
    command: "check",
    files: { ...HANDLER, "edgicorn.config.ts": `export default { tlsMinVersion: 1.3 };\n` },
    code: 78,
    says: [/tlsMinVersion in edgicorn\.config\.ts: found 1\.3, expected "1\.2" or "1\.3"/],
  },
  {
    name: "suites of TLS that the library has not",
    command: "start",
    files: HANDLER,
    flags: ["--https", "0", "--tls-ciphers", "DHE-RSA-AES128-GCM-SHA256"],
    code: 78,
    says: [
      /tlsCiphers: found "DHE-RSA-AES128-GCM-SHA256"/,
      /expected suites of TLS 1\.2 with ECDHE/,
    ],
  },
  {
    name: "names of people from single sign-on, through a proxy",
    command: "start",
    files: HANDLER,
    request: {
      path: "/",
      headers: { "x-forwarded-user": "Jos\u00e9", "x-forwarded-for": "192.0.2.1" },
    },
    code: 0,
    says: [
      /x-forwarded-user: .*drops characters outside of ASCII.*identifier in ASCII/,
      /through a proxy: it must close idle connections .*keepalive_timeout 5s/,
    ],
  },
]);

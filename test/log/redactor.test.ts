import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRedactor } from "../../runtime/log/redactor.ts";

const { query, text, line } = createRedactor();

describe("createRedactor()", () => {
  it("replaces secret parameters of a query, by the words of their names", () => {
    const cases: [given: string, expected: string][] = [
      ["token=S", "token=[redacted]"],
      ["a=1&access_token=S&b", "a=1&access_token=[redacted]&b"],
      ["accessToken=S&X-Api-Key=S", "accessToken=[redacted]&X-Api-Key=[redacted]"],
      ["user%5Bpassword%5D=S", "user%5Bpassword%5D=[redacted]"],
      ["%74oken=S&TOKEN=S", "%74oken=[redacted]&TOKEN=[redacted]"],
      ["%74oken%zz=S", "%74oken%zz=[redacted]"],
      ["token=S=S", "token=[redacted]"],
      ["token=a;S?S&b=1;2", "token=[redacted]&b=1;2"],
      ["next=/a?token=S&b", "next=/a?token=[redacted]&b"],
      ["next=%2Fa%3Ftoken%3DS&b=%3D", "next=[redacted]&b=%3D"],
      ["token", "token"],
      ["tokens=1&keyboard=2&monkey=3", "tokens=1&keyboard=2&monkey=3"],
      ["", ""],
    ];
    for (const [given, expected] of cases) assert.equal(query(given), expected);
    const own = createRedactor(["pin", "api_key"]);
    assert.equal(
      own.query("pin=S&token=1&api-key=S&key=1"),
      "pin=[redacted]&token=1&api-key=[redacted]&key=1",
    );
  });

  it("replaces secrets in texts, and nothing else", () => {
    const cases: [given: string, expected: string][] = [
      ["GET /a?x=1&token=S#b", "GET /a?x=1&token=[redacted]#b"],
      ["GET /a?token=S;S?S&b=1;2", "GET /a?token=[redacted]&b=1;2"],
      ["GET /a?token=S;b=1", "GET /a?token=[redacted];b=1"],
      ["GET /a?next=/b?token=S", "GET /a?next=/b?token=[redacted]"],
      ["GET /a?next=%2Fb%3Ftoken%3DS%26c&d", "GET /a?next=[redacted]&d"],
      ["GET /a?next=%252Fb%253Ftoken%253DS", "GET /a?next=%252Fb%253Ftoken%253DS"],
      ["at https://a/#access_token=S", "at https://a/#access_token=[redacted]"],
      ["see https://a.example/?key=S, please", "see https://a.example/?key=[redacted] please"],
      ["Cookie: a=S; b=S\nnext", "Cookie: [redacted]\nnext"],
      ["{ 'HTTP_COOKIE': 'a=S', 'x': 'y' }", "{ 'HTTP_COOKIE': '[redacted]', 'x': 'y' }"],
      ["host\na\nauthorization\nBasic S\nx\ny", "host\na\nauthorization\n[redacted]\nx\ny"],
      ["sent Bearer eyJhbGci.S.S to b", "sent Bearer [redacted] to b"],
      ["basic authentication failed", "basic authentication failed"],
      ["no bearer credentials", "no bearer credentials"],
      ["a cookie was refused", "a cookie was refused"],
      ["the code: ERR_LISTEN", "the code: ERR_LISTEN"],
    ];
    for (const [given, expected] of cases) assert.equal(text(given), expected);
  });

  it("replaces secrets in lines of JSON at any depth, and leaves other lines as they are", () => {
    const plain = '{"level":"error","code":"ERR_X","key":"a","token":1.50,"msg":"it  broke"}\n';
    assert.equal(line(plain), plain);
    const deep = { a: [{ b: { Authorization: "S", list: ["Set-Cookie", "S", "x", "y"] } }] };
    const expected = {
      a: [{ b: { Authorization: "[redacted]", list: ["Set-Cookie", "[redacted]", "x", "y"] } }],
    };
    assert.equal(line(`${JSON.stringify(deep)}\n`), `${JSON.stringify(expected)}\n`);
    assert.equal(line("not json ?token=S\n"), "not json ?token=[redacted]\n");
  });
});

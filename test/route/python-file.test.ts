import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { hasApplication } from "../../runtime/route/python-file.ts";

describe("hasApplication()", () => {
  const rows: [text: string, expected: boolean][] = [
    ["app = Flask(__name__)", true],
    ["import x\n\napplication=get_wsgi_application()", true],
    ["app: FastAPI = FastAPI()", true],
    ["app, db = make()", true],
    ["x = app = make()", true],
    ["def application(environ, start_response):\n  pass", true],
    ["async def app(scope, receive, send): ...", true],
    ["class app:\n  pass", true],
    ["from shop import app", true],
    ["from shop.wsgi import (\n  db,\n  application,\n)", true],
    ["import shop.wsgi as app", true],
    ["from shop import server as app", true],
    ["", false],
    ["def create():\n  app = 1", false],
    ["from app import x", false],
    ["import app.models", false],
    ["from shop import app as server", false],
    ["apps = 1", false],
    ["if app == 1: pass", false],
    ["# app = 1", false],
  ];
  for (const [text, expected] of rows) {
    it(`${expected ? "finds one" : "finds none"} in ${JSON.stringify(text)}`, () => {
      assert.equal(hasApplication(text), expected);
    });
  }
});

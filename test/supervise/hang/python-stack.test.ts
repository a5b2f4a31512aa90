import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parsePythonStack } from "../../../runtime/supervise/hang/python-stack.ts";

const OWN = join(import.meta.dirname, "../../../runtime/python/_edgicorn/wsgi.py");

describe("parsePythonStack()", () => {
  it("returns the frames of the first thread that runs the application, innermost first", () => {
    const text = [
      "Thread 0x00007f01 (most recent call first):",
      `  File "${OWN}", line 120 in _read`,
      '  File "/usr/lib/python3.11/threading.py", line 1 in run',
      "",
      "Thread 0x00007f02 (most recent call first):",
      '  File "<string>", line 1 in <module>',
      '  File "/srv/shop/views.py", line 12 in cart',
      `  File "${OWN}", line 99 in run`,
      "",
      "Current thread 0x00007f03 (most recent call first):",
      '  File "/srv/shop/views.py", line 40 in other',
      `  File "${OWN}", line 99 in run`,
    ].join("\n");
    assert.deepEqual(parsePythonStack(text), [
      { name: "<module>", position: null },
      { name: "cart", position: { file: "/srv/shop/views.py", line: 12, column: null } },
    ]);
  });

  it("returns nothing for text without such a thread", () => {
    for (const text of ["", "Fatal Python error: Aborted\n", '  File "/a.py", line 1 in f\n']) {
      assert.deepEqual(parsePythonStack(text), []);
    }
  });
});

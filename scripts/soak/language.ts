import { join } from "node:path";
import { findPython, skipWithoutPython } from "../../test/helpers/python.ts";
import { shown, type Soak } from "./soak.ts";

/** The language of the code that a soak loads. Both answer the same paths. */
export type Language = "javascript" | "python";

/** Folder of the Python application. */
export const PYTHON_DIR = join(import.meta.dirname, "python");

/** Returns the flags for a server of the Python application in a folder. Each worker runs one request at a time. */
export function pythonFlags(appDir: string = PYTHON_DIR): readonly string[] {
  return ["--app", "app:app", "--app-dir", appDir, "--python", findPython() ?? "python3"];
}

/** Names a soak by its language. On a machine without Python, a soak of a Python application only says so. */
export function soakOf(language: Language, soak: Soak): Soak {
  if (language === "javascript") return soak;
  return {
    ...soak,
    name: `${soak.name}-python`,
    about: `the same, with a Python application`,
    run: async (context) => {
      const reason = skipWithoutPython();
      return reason === false ? soak.run(context) : [shown("skipped", reason)];
    },
  };
}

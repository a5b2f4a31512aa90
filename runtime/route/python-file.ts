/**
 * Tells whether a Python module seems to have an application: whether its top level binds `application` or `app`. Pure.
 *
 * Looks at the text only: the worker that imports the module decides. Modules that handlers share have no such name.
 */
export function hasApplication(text: string): boolean {
  return (
    BINDING.test(text) || [...text.matchAll(IMPORT)].some(([, names]) => NAME.test(names ?? ""))
  );
}

/** `app = ...`, `app: Flask = ...`, `app, db = ...`, `x = app = ...`, `def app(...)`, `class app:`. */
const BINDING =
  /^(?:(?:async[ \t]+)?def|class)[ \t]+(?:application|app)\b|^(?:[\w.]+[ \t]*=[ \t]*)*(?:application|app)\b[^\n=(]*=(?!=)/m;

/** `from shop import app`, `from shop import (a, app)`, `import shop as app`. */
const IMPORT = /^(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(\([^)]*\)|[^\n#]*)/gm;

/** A name that an import binds: the last one of `x as y`. */
const NAME = /\b(?:application|app)\b(?!\s*\.|\s+as\b)/;

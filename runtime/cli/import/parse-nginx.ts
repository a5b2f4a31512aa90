/** One directive of a config file of Nginx. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  /** `nginx.conf:12`. */
  readonly place: string;
  /** The directives between its braces; `null`: it has none. */
  readonly block: readonly Directive[] | null;
}

/** Text that is no config file of Nginx. The message names file and line. */
export class NginxSyntaxError extends Error {
  constructor(place: string, finding: string) {
    super(`found ${finding} at ${place}, expected directives such as "listen 80;"`);
    this.name = "NginxSyntaxError";
  }
}

/**
 * Parses a config file of Nginx, as Nginx reads it: words, quoted texts, comments, and blocks in braces. Includes stay
 * directives.
 *
 * @param file Name of the file, for places.
 * @throws NginxSyntaxError
 */
export function parseNginx(text: string, file: string): Directive[] {
  const reader = new Reader(text.replace(/^\uFEFF/, ""), file);
  const directives = readBlock(reader, false);
  return directives;
}

function readBlock(reader: Reader, isInner: boolean): Directive[] {
  const directives: Directive[] = [];
  for (;;) {
    reader.skipSpace();
    if (reader.isAtEnd) {
      if (isInner) throw new NginxSyntaxError(reader.place, "no } before the end of the file");
      return directives;
    }
    if (reader.take("}")) {
      if (!isInner) throw new NginxSyntaxError(reader.place, "} without {");
      return directives;
    }
    directives.push(readDirective(reader));
  }
}

function readDirective(reader: Reader): Directive {
  const { place } = reader;
  const words: string[] = [];
  for (;;) {
    reader.skipSpace();
    const [name = "", ...args] = words;
    if (reader.isAtEnd) throw new NginxSyntaxError(place, `"${name}" without ;`);
    if (reader.take(";")) {
      if (words.length === 0) throw new NginxSyntaxError(place, "; without a directive");
      return { name, args, place, block: null };
    }
    if (reader.take("{")) {
      if (words.length === 0) throw new NginxSyntaxError(place, "{ without a directive");
      // Code of another language, in which braces and semicolons mean something else.
      if (name.endsWith("_by_lua_block")) {
        reader.skipBraces(place);
        return { name, args, place, block: [] };
      }
      return { name, args, place, block: readBlock(reader, true) };
    }
    if (reader.isAt("}")) throw new NginxSyntaxError(place, `"${name}" without ;`);
    words.push(reader.readWord());
  }
}

/** Escapes that Nginx replaces in words. All others keep their backslash, as expressions need it. */
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  t: "\t",
  r: "\r",
  n: "\n",
};

class Reader {
  readonly #text: string;
  readonly #file: string;
  #at = 0;
  #line = 1;

  constructor(text: string, file: string) {
    this.#text = text;
    this.#file = file;
  }

  get place(): string {
    return `${this.#file}:${this.#line}`;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  isAt(character: string): boolean {
    return this.#text[this.#at] === character;
  }

  take(character: string): boolean {
    if (!this.isAt(character)) return false;
    this.#at++;
    return true;
  }

  /** Skips white space and comments. */
  skipSpace(): void {
    while (!this.isAtEnd) {
      if (this.isAt("#")) {
        while (!this.isAtEnd && !this.isAt("\n")) this.#at++;
      } else if (/\s/.test(this.#text[this.#at] ?? "")) {
        this.#next();
      } else {
        return;
      }
    }
  }

  readWord(): string {
    const { place } = this;
    const quote = this.isAt('"') || this.isAt("'") ? this.#next() : null;
    let word = "";
    for (;;) {
      const character = this.#text[this.#at];
      if (character === undefined) {
        if (quote !== null) throw new NginxSyntaxError(place, `${quote} without its end`);
        return word;
      }
      if (quote === null ? this.#endsWord(word) : character === quote) {
        if (quote !== null) this.#at++;
        return word;
      }
      this.#next();
      const escaped = character === "\\" ? this.#text[this.#at] : undefined;
      if (escaped === undefined) word += character;
      else {
        this.#next();
        word += ESCAPES[escaped] ?? `\\${escaped}`;
      }
    }
  }

  /** Skips to the brace that closes the present block. */
  skipBraces(place: string): void {
    for (let depth = 1; depth > 0;) {
      if (this.isAtEnd) throw new NginxSyntaxError(place, "{ without }");
      const character = this.#next();
      if (character === "{") depth++;
      if (character === "}") depth--;
    }
  }

  /** Tells whether an unquoted word ends here. The brace of `${name}` does not end it. */
  #endsWord(word: string): boolean {
    const character = this.#text[this.#at] ?? "";
    if (/[\s;]/.test(character)) return true;
    return character === "{" && !word.endsWith("$");
  }

  #next(): string {
    const character = this.#text[this.#at++] ?? "";
    if (character === "\n") this.#line++;
    return character;
  }
}

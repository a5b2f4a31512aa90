/** One directive of a config file of Nginx. */
export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  /** The directive as it is written, on one line and without its block: `listen 443 ssl`. */
  readonly text: string;
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

/** Blocks within blocks. Configs have about five. */
const MOST_DEPTH = 100;

/**
 * Parses a config file of Nginx, as Nginx reads it: words, quoted texts, comments, and blocks in braces. Includes stay
 * directives.
 *
 * @param file Name of the file, for places.
 * @throws NginxSyntaxError
 */
export function parseNginx(text: string, file: string): Directive[] {
  return readBlock(new Reader(text.replace(/^\uFEFF/, ""), file), 0);
}

function readBlock(reader: Reader, depth: number): Directive[] {
  const directives: Directive[] = [];
  const isInner = depth > 0;
  if (depth > MOST_DEPTH) {
    throw new NginxSyntaxError(reader.place, `more than ${MOST_DEPTH} blocks within each other`);
  }
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
    directives.push(readDirective(reader, depth));
  }
}

function readDirective(reader: Reader, depth: number): Directive {
  const { place, offset: start } = reader;
  const words: string[] = [];
  for (;;) {
    reader.skipSpace();
    if (reader.take(";")) return toDirective(words, { reader, start, place, end: ";" });
    if (reader.take("{")) {
      const directive = toDirective(words, { reader, start, place, end: "{" });
      // Code of another language, in which braces and semicolons mean something else.
      if (!directive.name.endsWith("_by_lua_block")) {
        return { ...directive, block: readBlock(reader, depth + 1) };
      }
      reader.skipCode(place);
      return { ...directive, block: [] };
    }
    if (reader.isAtEnd || reader.isAt("}")) {
      throw new NginxSyntaxError(place, `"${words[0] ?? ""}" without ;`);
    }
    words.push(reader.readWord());
  }
}

function toDirective(
  words: readonly string[],
  { reader, start, place, end }: { reader: Reader; start: number; place: string; end: string },
): Directive {
  const [name, ...args] = words;
  if (name === undefined) throw new NginxSyntaxError(place, `${end} without a directive`);
  return { name, args, text: reader.textFrom(start, end.length), place, block: null };
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

  get offset(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Returns the text since an offset on one line, without its last characters. */
  textFrom(start: number, left: number): string {
    return this.#text
      .slice(start, this.#at - left)
      .replaceAll(/\s+/g, " ")
      .trim();
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
        if (quote !== null) this.#endQuote(place);
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

  /** Skips the Lua code up to the brace that closes its block. Braces in texts and comments do not count. */
  skipCode(place: string): void {
    for (let depth = 1; depth > 0;) {
      if (this.isAtEnd) throw new NginxSyntaxError(place, "{ without }");
      const character = this.#next();
      if (character === "{") depth++;
      if (character === "}") depth--;
      if (character === '"' || character === "'") this.#skipText(character);
      if (character === "-" && this.isAt("-")) {
        while (!this.isAtEnd && !this.isAt("\n")) this.#at++;
      }
    }
  }

  #skipText(quote: string): void {
    while (!this.isAtEnd && !this.isAt(quote) && !this.isAt("\n")) {
      if (this.#next() === "\\") this.#next();
    }
    this.#next();
  }

  #endQuote(place: string): void {
    this.#at++;
    const next = this.#text[this.#at];
    if (next === undefined || /[\s;{)]/.test(next)) return;
    throw new NginxSyntaxError(place, `"${next}" right after a quoted text`);
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

/** A piece of HTML. Only `html` makes one, so what is in it is escaped. */
export interface Html {
  readonly markup: string;
}

type Content = string | number | Html | readonly Html[];

/** Joins a template and its values: pieces of HTML as they are, everything else escaped. */
export function html(strings: TemplateStringsArray, ...values: Content[]): Html {
  const parts = strings.map((text, index) => text + render(values[index] ?? ""));
  return { markup: parts.join("") };
}

function render(value: Content): string {
  if (typeof value === "string" || typeof value === "number") return escape(String(value));
  return "markup" in value ? value.markup : value.map(render).join("");
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

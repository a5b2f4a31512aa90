/** Look of a text in a terminal. */
export type Style = "bold" | "dim" | "red" | "yellow" | "green";

const CODES: Readonly<Record<Style, number>> = { bold: 1, dim: 2, red: 31, yellow: 33, green: 32 };

/** Returns a text with the codes of a style around it (ECMA-48, SGR). */
export function paint(text: string, style: Style | null): string {
  return style === null || text === "" ? text : `\u001b[${CODES[style]}m${text}\u001b[0m`;
}

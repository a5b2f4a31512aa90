import { eastAsianWidth } from "get-east-asian-width";

/** Texts of one cell for each character, as nearly all are. */
const NARROW = /^[\u0020-\u007E\u00A0-\u02FF\u2010-\u2027…·]*$/;

/** Characters without a cell of their own (Unicode categories Mn, Me and Cf). */
const ONLY_MARKS = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;

/** Emoji that terminals draw in two cells: by their own nature, or by the variation selector 16. */
const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\uFE0F/u;

/** Returns the number of cells of a text in a terminal. */
export function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length;
  return graphemesOf(text).reduce((sum, grapheme) => sum + widthOfGrapheme(grapheme), 0);
}

/** Cuts a text to so many cells. A text that is cut ends with an ellipsis, and cuts through no character that is seen as one. */
export function clipToWidth(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width <= 0) return "";
  let kept = "";
  let used = 0;
  for (const grapheme of graphemesOf(text)) {
    used += widthOfGrapheme(grapheme);
    if (used > width - 1) break;
    kept += grapheme;
  }
  return `${kept}…`;
}

/** Splits a text into characters as people see them (Unicode annex 29): an accent or a joined emoji belongs to its base. */
function graphemesOf(text: string): string[] {
  const segments = new Intl.Segmenter("en", { granularity: "grapheme" }).segment(text);
  return Array.from(segments, ({ segment }) => segment);
}

function widthOfGrapheme(grapheme: string): number {
  if (ONLY_MARKS.test(grapheme)) return 0;
  if (EMOJI.test(grapheme)) return 2;
  const first = grapheme.codePointAt(0) ?? 0;
  // Characters of ambiguous width are narrow outside of East Asia.
  return eastAsianWidth(first);
}

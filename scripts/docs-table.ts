/**
 * Replaces the table between two marks of a page: `<!-- NAME -->` and `<!-- /NAME -->`.
 *
 * @param rows Cells of each row, the heads of the columns first.
 * @throws TypeError if the page lacks the marks.
 */
export function withTable(
  page: string,
  name: string,
  rows: readonly (readonly string[])[],
): string {
  const begin = `<!-- ${name} -->\n`;
  const end = `<!-- /${name} -->\n`;
  const [before, after] = [page.indexOf(begin), page.indexOf(end)];
  if (before === -1 || after < before) throw new TypeError(`the page has no ${begin}${end}`);
  const [heads = [], ...others] = rows;
  const all = [heads, heads.map(() => "---"), ...others];
  const table = all.map((cells) => `| ${cells.join(" | ")} |\n`).join("");
  return `${page.slice(0, before)}${begin}\n${table}\n${page.slice(after)}`;
}

/** One column of a table. */
export interface Column<Row> {
  readonly label: string;
  /** Text of the cell. */
  readonly text: (row: Row) => string;
  /** Value by which the column sorts. Default: the text. */
  readonly value?: (row: Row) => number | string | null;
  /** Aligned to the right. */
  readonly isNumber?: boolean;
  /** Left out on narrow screens. */
  readonly isWide?: boolean;
  /** A long text that may break into lines. */
  readonly isLong?: boolean;
  /** Class of the cell: `bad`, `warn`, `good`, `quiet`. */
  readonly tone?: (row: Row) => string;
  /** Text that shows when the pointer is on the cell. */
  readonly hint?: (row: Row) => string;
  /** A button in place of text. The column does not sort. */
  readonly button?: (row: Row) => { label: string; act: () => void } | null;
}

export interface TableOptions<Row> {
  readonly caption: string;
  /** Shown in place of the rows when there are none. */
  readonly empty: string;
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  /** Label of the column by which the table sorts first. Without it, rows keep their order. */
  readonly sortBy?: string;
  /** That order is ascending. Default: numbers descend, texts ascend. */
  readonly isAscending?: boolean;
}

/** A table that sorts by any of its columns, and keeps its rows, so that focus and selection stay when figures change. */
export class Table<Row> {
  readonly element: HTMLElement;
  readonly #options: TableOptions<Row>;
  readonly #body: HTMLTableSectionElement;
  readonly #heads = new Map<Column<Row>, HTMLTableCellElement>();
  readonly #rows = new Map<string, HTMLTableRowElement>();
  readonly #latest = new Map<HTMLTableRowElement, Row>();
  #data: readonly Row[] = [];
  #sort: { column: Column<Row>; isDescending: boolean } | null = null;

  constructor(options: TableOptions<Row>) {
    this.#options = options;
    const table = document.createElement("table");
    const caption = table.createCaption();
    caption.textContent = options.caption;
    const line = table.createTHead().insertRow();
    for (const column of options.columns) line.append(this.#createHead(column));
    this.#body = table.createTBody();
    const initial = options.columns.find(({ label }) => label === options.sortBy);
    if (initial !== undefined) {
      const isDescending = options.isAscending !== true && isDown(initial);
      this.#sort = { column: initial, isDescending };
    }
    this.element = document.createElement("div");
    this.element.className = "scroll";
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "region");
    this.element.setAttribute("aria-label", options.caption);
    this.element.append(table);
  }

  /** Shows other rows. */
  show(rows: readonly Row[]): void {
    this.#data = rows;
    this.#draw();
  }

  #createHead(column: Column<Row>): HTMLTableCellElement {
    const head = document.createElement("th");
    head.scope = "col";
    head.className = classOf(column);
    if (column.button !== undefined) {
      const hidden = document.createElement("span");
      hidden.className = "hidden";
      hidden.textContent = column.label;
      head.append(hidden);
      return head;
    }
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = column.label;
    button.addEventListener("click", () => {
      const isSame = this.#sort?.column === column;
      const isDescending = isSame ? this.#sort?.isDescending !== true : isDown(column);
      this.#sort = { column, isDescending };
      this.#draw();
    });
    head.append(button);
    this.#heads.set(column, head);
    return head;
  }

  #draw(): void {
    for (const [column, head] of this.#heads) {
      if (this.#sort?.column !== column) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", this.#sort.isDescending ? "descending" : "ascending");
    }
    const { keyOf, empty, columns } = this.#options;
    const shown = new Set<string>();
    const lines: HTMLTableRowElement[] = [];
    for (const row of this.#sorted()) {
      const key = keyOf(row);
      // Two rows of one key would be one row of the page.
      if (shown.has(key)) continue;
      shown.add(key);
      const line = this.#rows.get(key) ?? this.#createRow(key);
      this.#latest.set(line, row);
      for (const [at, column] of columns.entries()) {
        const cell = line.cells[at];
        if (cell !== undefined) this.#fill(cell, column, row);
      }
      lines.push(line);
    }
    for (const [key, line] of this.#rows) {
      if (shown.has(key)) continue;
      this.#rows.delete(key);
      this.#latest.delete(line);
      line.remove();
    }
    this.element.classList.toggle("none", lines.length === 0);
    if (lines.length === 0) {
      if (this.#body.firstElementChild?.className === "empty") return;
      const line = document.createElement("tr");
      line.className = "empty";
      const cell = line.insertCell();
      cell.colSpan = columns.length;
      cell.textContent = empty;
      this.#body.replaceChildren(line);
      return;
    }
    if (this.#body.firstElementChild?.className === "empty") this.#body.replaceChildren();
    // A row that is moved loses the focus: rows in their place stay there.
    for (const [at, line] of lines.entries()) {
      if (this.#body.rows[at] !== line) this.#body.insertBefore(line, this.#body.rows[at] ?? null);
    }
  }

  #createRow(key: string): HTMLTableRowElement {
    const line = document.createElement("tr");
    for (const column of this.#options.columns) {
      const cell = line.insertCell();
      cell.className = classOf(column);
      if (column.button === undefined) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "small";
      button.addEventListener("click", () => {
        const row = this.#latest.get(line);
        if (row !== undefined) column.button?.(row)?.act();
      });
      cell.append(button);
    }
    this.#rows.set(key, line);
    return line;
  }

  #fill(cell: HTMLTableCellElement, column: Column<Row>, row: Row): void {
    if (column.button !== undefined) {
      const button = cell.firstElementChild;
      const wanted = column.button(row);
      if (!(button instanceof HTMLButtonElement)) return;
      button.hidden = wanted === null;
      if (wanted !== null && button.textContent !== wanted.label) button.textContent = wanted.label;
      return;
    }
    const text = column.text(row);
    if (cell.textContent !== text) cell.textContent = text;
    const className = `${classOf(column)} ${column.tone?.(row) ?? ""}`.trim();
    if (cell.className !== className) cell.className = className;
    const hint = column.hint?.(row) ?? "";
    if (cell.title !== hint) cell.title = hint;
  }

  #sorted(): readonly Row[] {
    const sort = this.#sort;
    if (sort === null) return this.#data;
    const valueOf = sort.column.value ?? sort.column.text;
    const sign = sort.isDescending ? -1 : 1;
    return this.#data.toSorted((one, other) => sign * compare(valueOf(one), valueOf(other)));
  }
}

/** Numbers sort from the largest down at first, texts from A on. */
function isDown({ isNumber }: { isNumber?: boolean }): boolean {
  return isNumber === true;
}

/** A missing value is less than all others. */
function compare(one: number | string | null, other: number | string | null): number {
  if (one === null || other === null) return Number(one !== null) - Number(other !== null);
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}

function classOf({
  isNumber,
  isWide,
  isLong,
}: Pick<Column<never>, "isNumber" | "isWide" | "isLong">): string {
  return [
    ...(isNumber === true ? ["number"] : []),
    ...(isWide === true ? ["wide"] : []),
    ...(isLong === true ? ["long"] : []),
  ].join(" ");
}

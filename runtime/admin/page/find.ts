/** Returns an element of the page. It is in page.html. */
export function find(id: string): HTMLElement {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`Cannot show the page: it has no element ${id}`);
  return element;
}

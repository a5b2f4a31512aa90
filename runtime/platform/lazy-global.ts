/**
 * Defines a global whose value is created by its first use: a worker that does not use it loads nothing for it. Programs may
 * replace it, as they may replace `fetch`. A global that exists stays as it is.
 *
 * @returns Whether it was defined.
 */
export function defineLazyGlobal(name: string, create: () => unknown): boolean {
  if (name in globalThis) return false;
  Object.defineProperty(globalThis, name, {
    get: () => {
      const value = create();
      defineValue(name, value);
      return value;
    },
    set(value: unknown) {
      defineValue(name, value);
    },
    enumerable: false,
    configurable: true,
  });
  return true;
}

function defineValue(name: string, value: unknown): void {
  const own = { value, enumerable: false, writable: true, configurable: true };
  Object.defineProperty(globalThis, name, own);
}

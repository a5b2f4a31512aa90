/**
 * Node's own classes, even if a library replaced them by derived classes before this module was imported.
 *
 * The fast objects share the prototype objects of these classes, so `instanceof`, `constructor` and patches of
 * `Response.prototype` mean the same for both kinds. `nativeGetter` and `nativeMethod` return the original members of
 * the prototypes. They must therefore be called while modules are evaluated.
 */
export const NativeRequest: typeof Request = baseClass(globalThis.Request);
export const NativeResponse: typeof Response = baseClass(globalThis.Response);
export const NativeHeaders: typeof Headers = baseClass(globalThis.Headers);

export type NativeGetter = (this: unknown) => unknown;
export type NativeMethod = (this: unknown, ...args: unknown[]) => unknown;

/** Node's own getter of `prototype[name]`, to be called on a real object, or on anything to get Node's own error. */
export function nativeGetter(prototype: object, name: string): NativeGetter {
  const getter: unknown = Reflect.get(
    Object.getOwnPropertyDescriptor(prototype, name) ?? {},
    "get",
  );
  if (typeof getter === "function") return getter as NativeGetter; // getters take no arguments
  throw new TypeError(`Cannot find "${name}" on Node's own class`);
}

/** The `content-type` of one of Node's own objects; `null` where there is none, and for any other receiver. */
export function readContentType(headersOf: NativeGetter, receiver: unknown): string | null {
  try {
    const headers = headersOf.call(receiver);
    return headers instanceof NativeHeaders ? headers.get("content-type") : null;
  } catch {
    return null; // Node's method then throws its own error
  }
}

/** Node's own method `prototype[name]`; one that this Node lacks fails as a call of `undefined` would. */
export function nativeMethod(prototype: object, name: string): NativeMethod {
  const method: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value;
  if (typeof method === "function") return method as NativeMethod; // any function may be called with anything
  return () => {
    throw new TypeError(`${name} is not a function`);
  };
}

/**
 * Replaces members of Node's `prototype` by `members` with the same names, keeping each property's flags.
 *
 * All other accessors and methods get a wrapper that runs Node's own on `resolve(this)`: the real object behind a fast
 * one, anything else as it is. A name that this version of Node does not have is not added.
 */
export function overrideMembers(
  prototype: object,
  members: object,
  resolve: (receiver: unknown) => unknown,
): void {
  for (const key of Object.getOwnPropertyNames(prototype)) {
    if (key === "constructor") continue;
    const own = Object.getOwnPropertyDescriptor(prototype, key);
    if (own === undefined) continue;
    const ours = Object.getOwnPropertyDescriptor(members, key) ?? wrap(key, own, resolve);
    // Node's flags with our functions; a data property has `value`, an accessor `get`, and neither may have both.
    const { enumerable = false, configurable = false } = own;
    Object.defineProperty(prototype, key, { ...ours, enumerable, configurable });
  }
}

/**
 * Makes `constructor` look like Node's own class: same prototype object, statics, `name` and `length`.
 * `statics` replace those of the same name.
 */
export function impersonate(constructor: object, native: object, statics: object): void {
  for (const key of Reflect.ownKeys(native)) {
    const own = Object.getOwnPropertyDescriptor(native, key);
    const ours = Object.getOwnPropertyDescriptor(statics, key);
    if (own === undefined) continue;
    Object.defineProperty(constructor, key, ours ? { ...own, value: ours.value as unknown } : own);
  }
  const prototype = (native as { prototype: object }).prototype; // every class has one
  Object.defineProperty(prototype, "constructor", { value: constructor });
}

function baseClass<Class extends object>(derived: Class): Class {
  const parent: unknown = Object.getPrototypeOf(derived);
  // A base class has `Function.prototype` above it.
  return parent === null || parent === Function.prototype ? derived : baseClass(parent as Class);
}

function wrap(
  key: string,
  own: PropertyDescriptor,
  resolve: (receiver: unknown) => unknown,
): PropertyDescriptor {
  const getter: unknown = Reflect.get(own, "get");
  const value: unknown = own.value;
  // Object literals give the wrappers the names that Node's members have ("get cache", "clone").
  let literal: object = {};
  if (typeof getter === "function") {
    literal = {
      get [key](): unknown {
        return Reflect.apply(getter, resolve(this), []) as unknown;
      },
    };
  } else if (typeof value === "function") {
    literal = {
      [key](...args: unknown[]): unknown {
        return Reflect.apply(value, resolve(this), args) as unknown;
      },
    };
  }
  return Object.getOwnPropertyDescriptor(literal, key) ?? own;
}

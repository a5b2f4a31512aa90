/**
 * Types of the files that handlers may import in addition to code and JSON. Used by `"types": ["edgicorn/types"]` in a
 * tsconfig.json, or `/// <reference types="edgicorn/types" />`. `LOADERS` in generation/compile.ts has the same list.
 */

declare module "*.txt" {
  const text: string;
  export default text;
}

declare module "*.html" {
  const text: string;
  export default text;
}

declare module "*.css" {
  const text: string;
  export default text;
}

declare module "*.md" {
  const text: string;
  export default text;
}

declare module "*.sql" {
  const text: string;
  export default text;
}

declare module "*.svg" {
  const text: string;
  export default text;
}

declare module "*.graphql" {
  const text: string;
  export default text;
}

declare module "*.gql" {
  const text: string;
  export default text;
}

declare module "*.bin" {
  const bytes: Uint8Array;
  export default bytes;
}

declare module "*.wasm" {
  /** A `WebAssembly.Module` if the project's `lib` or `types` declare it, otherwise an `object`. */
  type WasmModule = typeof globalThis extends {
    WebAssembly: { Module: { prototype: infer Module } };
  }
    ? Module
    : object;
  const module: WasmModule;
  export default module;
}

/// <reference types="node" />
/// <reference types="edgicorn/types" />
// Types for the handlers: Node's, those of imports such as "./query.sql", and those of `context.env`.
export {};

declare module "edgicorn" {
  interface Env {
    // DATABASE_URL: string;
  }
}

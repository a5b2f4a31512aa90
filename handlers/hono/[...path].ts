/** A whole application on one line: it answers everything under `/hono`. */
export { default } from "../_apps/hono.ts";

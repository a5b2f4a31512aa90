/** A whole application on one line: it answers every path that no other handler answers. */
export { default } from "../src/app.ts";

import { join } from "node:path";

/** The folder of handlers that are named by what they do. */
export const FIXTURE_HANDLERS = join(import.meta.dirname, "../fixtures/handlers");

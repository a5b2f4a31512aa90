import { defineConfig } from "edgicorn";

/** All keys: node_modules/edgicorn/docs/configuration.md. Flags and environment variables win over this file. */
export default defineConfig({
  http: 8080,
  https: 8443,
});

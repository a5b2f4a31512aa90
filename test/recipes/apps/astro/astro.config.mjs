import node from "@astrojs/node";
import { defineConfig } from "astro/config";

export default defineConfig({
  output: "server",
  adapter: node({ mode: "middleware" }),
  // Sites that forms may come from.
  security: { allowedDomains: [{ hostname: "127.0.0.1" }] },
  // Small ones would be part of the page.
  build: { inlineStylesheets: "never" },
  vite: { build: { assetsInlineLimit: 0 } },
});

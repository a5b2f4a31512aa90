import { defineConfig } from "edgicorn";

export default defineConfig({ public: "dist/client" });

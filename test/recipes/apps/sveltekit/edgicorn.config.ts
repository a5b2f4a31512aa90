import { defineConfig } from "edgicorn";

export default defineConfig({ public: "build/client" });

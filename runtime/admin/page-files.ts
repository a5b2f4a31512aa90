import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The parts of the status page. */
export interface PageFiles {
  readonly html: string;
  readonly css: string;
  readonly js: string;
}

/** Reads the compiled files beside the compiled program. From source, compiles them. */
export async function loadPageFiles(): Promise<PageFiles> {
  try {
    const [html, css, js] = await Promise.all([
      read("page.html"),
      read("styles.css"),
      read("page.js"),
    ]);
    return { html, css, js };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return compile();
    throw error;
  }
}

function read(name: string): Promise<string> {
  return readFile(new URL(`./status-page/${name}`, import.meta.url), "utf8");
}

/** As `scripts/build.mjs` does. */
async function compile(): Promise<PageFiles> {
  const folder = fileURLToPath(new URL("./page/", import.meta.url));
  const { build } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [`${folder}page.ts`, `${folder}styles.css`],
    outdir: folder,
    bundle: true,
    minify: true,
    write: false,
    logLevel: "silent",
  });
  const textOf = (ending: string): string =>
    outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? "";
  const html = await readFile(`${folder}page.html`, "utf8");
  return { html, css: textOf(".css"), js: textOf(".js") };
}

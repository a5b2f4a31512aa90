/** Templates of `edgicorn init`. The first one applies without `--template`. */
export const TEMPLATE_NAMES = ["hello", "api", "hono", "react", "static"] as const;

export type TemplateName = (typeof TEMPLATE_NAMES)[number];

/** Packages and compiler options for the files of a template. The files are in `templates/NAME`. */
export interface Template {
  /** Versions by package. */
  dependencies: Readonly<Record<string, string>>;
  devDependencies: Readonly<Record<string, string>>;
  /** Whether its files import others with the ending `.ts`, which TypeScript allows with an option. */
  importsTypeScript: boolean;
  /** Whether there is a `.tsx` file. */
  hasJsx: boolean;
}

/** Packages that `tsc --noEmit` needs in every project. A test compares their versions with those in this project. */
const TYPES = { "@types/node": "^20.19.43", typescript: "^7.0.2" };

const PLAIN: Template = {
  dependencies: {},
  devDependencies: TYPES,
  importsTypeScript: false,
  hasJsx: false,
};

export const TEMPLATES: Readonly<Record<TemplateName, Template>> = {
  hello: PLAIN,
  api: { ...PLAIN, importsTypeScript: true },
  hono: { ...PLAIN, dependencies: { hono: "^4.13.19" }, importsTypeScript: true },
  react: {
    ...PLAIN,
    dependencies: { react: "^19.3.1", "react-dom": "^19.3.1" },
    devDependencies: { ...TYPES, "@types/react": "^19.3.0", "@types/react-dom": "^19.3.0" },
    hasJsx: true,
  },
  static: PLAIN,
};

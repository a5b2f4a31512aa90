/**
 * What a generation is made of: written by the build beside the compiled modules, read by workers and by the primary.
 *
 * Module and route numbers are indexes into `modules` and `routes`; they are valid within one generation only.
 */
export interface Manifest {
  formatVersion: 1;
  /** Names the generation; also its folder under `.edgicorn/generations/`. Sorts by time of creation. */
  id: string;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** Absolute path of the handlers folder it was built from. */
  sourceDir: string;
  modules: ManifestModule[];
  routes: ManifestRoute[];
  /** What answers a path that no route matches, per folder that has a `_404` file; empty: the runtime's own 404. */
  fallbacks: ManifestFallback[];
}

export interface ManifestModule {
  /** Source file relative to `sourceDir`, with `/`: what error messages name. */
  source: string;
  /** Compiled file relative to the generation's folder, with `/`. */
  compiled: string;
  /** Hash of the module and of everything local that it imports: equal hash, equal behaviour of the code. */
  hash: string;
}

export interface ManifestRoute {
  /** `/api/users/:id`, `/docs/**:path`; parameters keep the names from the file names. */
  pattern: string;
  /** Which module answers which method; `null` is any method that no other entry names. At least one entry. */
  handlers: { method: string | null; module: number }[];
  /** `_middleware` modules that wrap the route, outermost first. */
  middleware: number[];
  /** The nearest `_error` module, in its folder or above. */
  error: number | null;
}

export interface ManifestFallback {
  /** `/docs/**` for `docs/_404.ts`, `/**` for the one in the root. */
  pattern: string;
  module: number;
  middleware: number[];
  error: number | null;
}

/** The `Cache-Control` fields of files. Plain data. */
export interface CacheRules {
  /** Whether files of no rule get a field by their name: hashed names for a year, all others are revalidated. */
  readonly isAutomatic: boolean;
  /** Pattern (`parseFileGlob`) and value; `null`: no field. The first pattern that takes a path decides. */
  readonly rules: readonly (readonly [pattern: string, value: string | null])[];
}

/** The value for names that change with their content. */
export const IMMUTABLE = "public, max-age=31536000, immutable";

import type { Report } from "../report.ts";
import type { Section } from "../section.ts";
import type { HandlerDraft } from "./write-handlers.ts";
import type { OtherProject } from "./find-others.ts";
import type { Item } from "./item.ts";

/** The state of an import. */
export interface Carrying {
  /** The new config. Notes of remarks go to it. */
  readonly config: Section;
  readonly report: Report;
  /** All keys that hold. */
  readonly keys: ReadonlyMap<string, Item>;
  /** Collects the modules that the import writes. */
  readonly draft: HandlerDraft;
  readonly places: Places;
  /** `_routes.json` of a project for Pages; `null`: there is none. */
  readonly routes: Item | null;
  /** Projects in folders beside this one, by their names. */
  readonly others: ReadonlyMap<string, OtherProject>;
}

/** Folders of the import. */
export interface Places {
  /** Absolute folder of the new config. */
  readonly cwd: string;
  /** Absolute folder of the old one: its paths are relative to it. */
  readonly folder: string;
  /** The environment; `null`: none. */
  readonly environment: string | null;
}

/** Carries one key over, or reports that it cannot. */
export type CarryKey = (item: Item, carrying: Carrying) => void;

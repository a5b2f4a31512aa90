import type { SampledBody } from "../../control/shadowing.ts";

/** The facts of an answer that are compared. */
export interface ComparedAnswer {
  status: number;
  /** Names in lower case; `set-cookie` has the name of a cookie as its value. */
  fields: readonly (readonly [name: string, value: string])[];
  body: SampledBody;
}

export type Difference =
  | { kind: "status"; here: number; old: number }
  /** `null`: the answer does not have the field. */
  | { kind: "field"; name: string; here: string | null; old: string | null }
  | {
      kind: "body";
      hereBytes: number;
      oldBytes: number;
      /** Offset of the first character that differs, with the texts from there on; `null`: the bodies are no short texts. */
      first: { offset: number; here: string; old: string } | null;
    };

/** Fields that differ between two servers without a difference for visitors. */
export const IGNORED_FIELDS: readonly string[] = [
  "age",
  "alt-svc",
  "connection",
  // The codings of both bodies are undone before they are compared.
  "content-encoding",
  "content-length",
  "date",
  "etag",
  "expires",
  "keep-alive",
  "last-modified",
  "server",
  "transfer-encoding",
  "vary",
  "via",
  "x-powered-by",
  "x-request-id",
];

/** Characters of a text that a difference shows. */
const SHOWN_LENGTH = 40;

/**
 * Compares two answers to the same request. Pure.
 *
 * @param ignored Names of fields, in lower case, besides `IGNORED_FIELDS`.
 */
export function compareAnswers(
  here: ComparedAnswer,
  old: ComparedAnswer,
  { ignored }: { ignored: readonly string[] },
): Difference[] {
  // The fields and the body of an error page differ then, too: one difference says it.
  if (here.status !== old.status) return [{ kind: "status", here: here.status, old: old.status }];
  const body = compareBodies(here.body, old.body);
  return [...compareFields(here, old, ignored), ...(body === null ? [] : [body])];
}

function compareFields(
  here: ComparedAnswer,
  old: ComparedAnswer,
  ignored: readonly string[],
): Difference[] {
  const names = new Set([...here.fields, ...old.fields].map(([name]) => name));
  return [...names]
    .filter((name) => !IGNORED_FIELDS.includes(name) && !ignored.includes(name))
    .toSorted()
    .flatMap((name): Difference[] => {
      const [one, other] = [here, old].map(({ fields }) => valueOf(fields, name));
      if (one === other || one === undefined || other === undefined) return [];
      return [{ kind: "field", name, here: one, old: other }];
    });
}

function valueOf(fields: ComparedAnswer["fields"], name: string): string | null {
  const values = fields.filter((field) => field[0] === name).map(([, value]) => value.trim());
  if (values.length === 0) return null;
  // The order of cookies has no meaning.
  return (name === "set-cookie" ? values.toSorted() : values).join(", ");
}

function compareBodies(here: SampledBody, old: SampledBody): Difference | null {
  if (here.kind !== "digest" || old.kind !== "digest" || here.sha256 === old.sha256) return null;
  const sizes = { hereBytes: here.lengthBytes, oldBytes: old.lengthBytes };
  const first = here.text === null || old.text === null ? null : findFirst(here.text, old.text);
  return { kind: "body", ...sizes, first };
}

function findFirst(here: string, old: string): { offset: number; here: string; old: string } {
  let offset = 0;
  while (offset < here.length && here[offset] === old[offset]) offset++;
  const end = offset + SHOWN_LENGTH;
  return { offset, here: here.slice(offset, end), old: old.slice(offset, end) };
}

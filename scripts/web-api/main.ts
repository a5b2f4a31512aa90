// Writes the tables of docs/web-api.md from the findings of the probe on each Node: `npm run docs`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fetchNode } from "../nodes/fetch-node.ts";
import { COLUMNS, toResultTables, withResults } from "./page.ts";
import { type Finding, readResults } from "./read-results.ts";

const PAGE = join(import.meta.dirname, "../../docs/web-api.md");

const results = new Map<string, Finding[]>(
  COLUMNS.map((major) => {
    const isThis = process.versions.node.startsWith(`${major}.`);
    return [major, readResults(isThis ? process.execPath : fetchNode(major))];
  }),
);
writeFileSync(PAGE, withResults(readFileSync(PAGE, "utf8"), toResultTables(results)));

// Counts words in runtime/ and scripts/ that hide the actor of a sentence: "what", "who", "nobody" and the like (house rules, plain
// English). Fails when there are more than `scripts/english-limit.json` allows. Lower that number when the count falls.
//
//     node scripts/check-english.mjs          prints the count, and on failure the worst files
//     node scripts/check-english.mjs --files  always prints the worst files
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const WORDS = /\b(what|whatever|who|whoever|nobody|somebody)\b/gi;
const WORST_FILES = 15;

const root = fileURLToPath(new URL("../", import.meta.url));
const { most } = JSON.parse(readFileSync(new URL("english-limit.json", import.meta.url), "utf8"));
const files = ["runtime", "scripts"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true })
    // This script names the words.
    .filter((name) => /\.(ts|mjs)$/.test(name) && name !== "check-english.mjs")
    .map((name) => countWords(join(folder, name))),
);
const words = sum(files.map((file) => file.words));
const lines = sum(files.map((file) => file.lines));
const perThousand = ((words / lines) * 1000).toFixed(1);
const summary = `${words} in ${lines} lines of runtime/ and scripts/ (${perThousand} per 1,000), at most ${most}`;

if (words <= most) console.log(`Words without an actor: ${summary}`);
else {
  process.exitCode = 1;
  console.error(
    `Cannot accept the comments: "what", "who", "nobody" ... stand there ${summary}.\n` +
      `Name the actor: the worker, the client, the operator, the file. The files with the most:`,
  );
}
if (words > most || process.argv.includes("--files")) {
  const worst = files.filter((file) => file.words > 0).toSorted((a, b) => b.words - a.words);
  for (const file of worst.slice(0, WORST_FILES)) {
    const rate = ((file.words / file.lines) * 1000).toFixed(0);
    console.error(`${String(file.words).padStart(6)}  ${file.name} (${rate} per 1,000)`);
  }
}

function countWords(name) {
  const text = readFileSync(join(root, name), "utf8");
  return { name, words: text.match(WORDS)?.length ?? 0, lines: text.split("\n").length };
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

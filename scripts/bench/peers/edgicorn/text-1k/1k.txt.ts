/** The content of the file `1k.txt` of the static cases (`payloads.ts`). */
const TEXT = Array.from({ length: 16 }, (_, index) =>
  `line ${index} `.padEnd(63, "abcdefghijklmnopqrstuvwxyz").concat("\n"),
).join("");

export default (): Response => new Response(TEXT, { headers: { "content-type": "text/plain" } });

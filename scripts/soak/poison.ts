import { describeLosses } from "./kill-workers.ts";
import { poisonUnderLoad } from "./lose-workers.ts";
import { atMost, none, type Figure, type Soak } from "./soak.ts";
import type { Scope } from "./scope.ts";

/** How often each request is sent. */
const TIMES = 20;

const KINDS = ["exit", "abort", "throw", "bomb", "loop"] as const;

/** Limit of a worker's heap: a memory bomb ends soon. */
const HEAP_MIB = 64;

/** Repeats requests that crash their worker: the same one is refused after two crashes, and no other request fails. */
export const poison: Soak = {
  name: "poison",
  about: "requests that end, block or blow up their worker, 20 times each: no other request fails",
  alone: true,
  async run({ scope, seed, brief }) {
    const figures: Figure[] = [];
    for (const [index, how] of KINDS.entries()) {
      // A brief run has one kind: the seed decides which one.
      if (brief && index !== seed % KINDS.length) continue;
      const same = Array.from({ length: TIMES }, () => `/poison?how=${how}`);
      figures.push(...(await send(scope, `the same ${how}`, { paths: same, different: 1 })));
      if (brief) continue;
      const different = same.map((path, number) => `${path}&n=${number}`);
      const other = { paths: different, different: TIMES };
      figures.push(...(await send(scope, `another ${how} each time`, other)));
    }
    return figures;
  },
};

/** @param options.different How many different paths there are. */
async function send(
  scope: Scope,
  name: string,
  { paths, different }: { paths: readonly string[]; different: number },
): Promise<Figure[]> {
  const env = { NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` };
  const report = await poisonUnderLoad(scope, { paths, env });
  return [
    ...describeLosses(name, report),
    none(`${name}: others that failed`, report.failed),
    atMost(`${name}: workers per poison`, report.workers / different, 2),
    atMost(`${name}: not quarantined`, different - report.quarantined, 0),
  ];
}

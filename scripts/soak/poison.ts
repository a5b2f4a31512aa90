import { describeLosses } from "./kill-workers.ts";
import { soakOf, type Language } from "./language.ts";
import { poisonUnderLoad } from "./lose-workers.ts";
import { atMost, none, type Figure, type Soak } from "./soak.ts";
import type { Scope } from "./scope.ts";

/** How often each request is sent. */
const TIMES = 20;

const KINDS = {
  javascript: ["exit", "abort", "throw", "bomb", "loop"],
  python: ["exit", "abort", "fault", "bomb", "loop"],
} as const;

/** How often a Python worker is blocked. Each time takes until the request's timeout and `hangTimeout` are over. */
const PYTHON_LOOPS = 4;

/** Limits of a worker's memory: a memory bomb ends soon. */
const LIMITS: Readonly<Record<Language, Partial<LossOptions>>> = {
  javascript: { env: { NODE_OPTIONS: "--max-old-space-size=64" } },
  python: { flags: ["--worker-memory-limit", "100mb", "--request-timeout", "3s"] },
};

type LossOptions = Parameters<typeof poisonUnderLoad>[1];

/** Repeats requests that crash their worker: the same one is refused after two crashes, and no other request fails. */
export const poison: Soak = poisonOf("javascript");

/** The same, with a Python application. */
export const poisonPython: Soak = poisonOf("python");

function poisonOf(language: Language): Soak {
  return soakOf(language, {
    name: "poison",
    about:
      "requests that end, block or blow up their worker, 20 times each: no other request fails",
    alone: true,
    async run({ scope, seed, brief }) {
      const figures: Figure[] = [];
      const kinds = KINDS[language];
      for (const [index, how] of kinds.entries()) {
        // A brief run has one kind: the seed decides which one.
        if (brief && index !== seed % kinds.length) continue;
        // A blocked Python thread is a timeout of one request, and not a crash.
        const isTimeout = language === "python" && how === "loop";
        const times = isTimeout ? PYTHON_LOOPS : TIMES;
        const same = Array.from({ length: times }, () => `/poison?how=${how}`);
        const options = { paths: same, different: 1, language, isTimeout };
        figures.push(...(await send(scope, `the same ${how}`, options)));
        if (brief) continue;
        const paths = same.map((path, number) => `${path}&n=${number}`);
        const name = `another ${how} each time`;
        figures.push(...(await send(scope, name, { ...options, paths, different: times })));
      }
      return figures;
    },
  });
}

interface SendOptions {
  readonly paths: readonly string[];
  /** How many different paths there are. */
  readonly different: number;
  readonly language: Language;
  /** Each request is answered 504 or refused. Its worker ends later. */
  readonly isTimeout: boolean;
}

async function send(scope: Scope, name: string, options: SendOptions): Promise<Figure[]> {
  const { paths, different, language, isTimeout } = options;
  const report = await poisonUnderLoad(scope, { paths, language, ...LIMITS[language] });
  const figures = [
    ...describeLosses(name, report),
    none(`${name}: others that failed`, report.failed),
  ];
  if (isTimeout) {
    // 503: refused, because it has blocked workers before.
    const others = report.poison.filter((status) => status !== 504 && status !== 503).map(String);
    return [
      ...figures,
      none(`${name}: answered otherwise than 504 and 503`, others),
      atMost(`${name}: workers per request`, report.workers / paths.length, 1),
    ];
  }
  return [
    ...figures,
    atMost(`${name}: workers per poison`, report.workers / different, 2),
    atMost(`${name}: not quarantined`, different - report.quarantined, 0),
  ];
}

import { join } from "node:path";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import type { Owner } from "../../test/helpers/temporary-folder.ts";
import { download, READINGS, type Reading } from "./download.ts";
import { patternOf } from "./pattern.ts";
import { formatOrder } from "./produce.ts";
import { sequence, type Random } from "./random.ts";
import { checkLogs } from "./server-log.ts";
import { atLeast, shown, type Soak } from "./soak.ts";

const LARGE_BYTES = 24 * 1024 ** 2;
const RUNS = 50;
const BRIEF_RUNS = 6;
/** How many downloads share the event loop of the primary. */
const CONCURRENCY = 4;

/** Kinds of downloads: a stream in chunks, one of an announced size, a whole body, a file, a stream spooled to disk. */
type Kind = "chunks" | "announced" | "whole" | "file" | "spooled";

const KINDS: readonly Kind[] = ["chunks", "announced", "whole", "file", "spooled"];

/** Bytes were lost in chunked responses. */
const LARGE_KINDS: readonly Kind[] = [
  "chunks",
  "announced",
  "chunks",
  "whole",
  "chunks",
  "file",
  "spooled",
];

/** Sizes around the buffers of uWebSockets.js and the sizes of our writes. */
const EDGES = [
  5_333, 5_334, 15_999, 16_000, 16_001, 16_383, 16_384, 16_385, 32_000, 32_768, 65_535, 65_536,
  65_537, 131_072, 262_143, 262_144, 262_145, 524_289,
] as const;

/** Sizes of the pieces that a handler yields. */
const PIECES = [1_000, 15_999, 16_000, 16_001, 16_384, 16_385, 65_536, 65_537, 1_000_000] as const;

interface Download {
  readonly kind: Kind;
  readonly secure: boolean;
  readonly reading: Reading;
  readonly bytes: number;
  readonly piece: number;
}

/** uWebSockets.js loses bytes of corked writes that do not fit. Checks that none are lost, with any buffers. */
export const corkedWrites: Soak = {
  name: "corked-writes",
  about: "24 MB to clients with tiny socket buffers, HTTP and HTTPS: every byte compared",
  buffersBytes: 16 * 1024,
  async run({ scope, seed, seconds, brief, smallBuffers, say }) {
    const server = await startFileServer(scope);
    const random = sequence(seed);
    const endMs = brief ? 0 : performance.now() + seconds * 1000;
    const count = brief ? BRIEF_RUNS : RUNS;
    let edges = 0;
    let large = 0;
    const run = async (order: Download): Promise<void> => {
      await runDownload(server, order, random);
      if (order.bytes === LARGE_BYTES) large++;
      else edges++;
    };
    await runAll(planEdges(brief), run);
    say(`${edges} downloads of sizes at the edges`);
    const startMs = performance.now();
    // At least this many, and more as long as there is time.
    for (let done = 0; done < count || performance.now() < endMs;) {
      const batch = Array.from({ length: CONCURRENCY }, (_, index) =>
        planLarge(done + index, random),
      );
      await runAll(batch, run);
      done += batch.length;
    }
    const mibPerSecond = (large * 24) / ((performance.now() - startMs) / 1000);
    return [
      shown("socket buffers", smallBuffers ? "16 KiB" : "as the system has them"),
      atLeast("of 24 MiB, all bytes right", large, count),
      shown("of sizes at edges, all bytes right", edges),
      shown("MiB/s", mibPerSecond.toFixed(0)),
      checkLogs(server),
    ];
  },
};

function startFileServer(owner: Owner): Promise<TestServer> {
  const sizes = [...EDGES, LARGE_BYTES];
  return startServer(owner, {
    workers: 2,
    handlers: join(import.meta.dirname, "handlers"),
    public: Object.fromEntries(sizes.map((size) => [`file-${size}.bin`, patternOf(0, size)])),
    https: true,
    flags: ["--access-log", "off"],
  });
}

/** Each size with each kind and scheme; the pieces and the reading rotate. */
function planEdges(brief: boolean): Download[] {
  let turn = 0;
  return EDGES.flatMap((bytes) =>
    KINDS.flatMap((kind) =>
      [false, true].flatMap((secure) => {
        turn++;
        if (brief && turn % 3 !== 0) return [];
        const piece = PIECES[turn % PIECES.length] ?? 16_384;
        return [{ kind, secure, reading: READINGS[turn % 3] ?? "fast", bytes, piece }];
      }),
    ),
  );
}

function planLarge(turn: number, random: Random): Download {
  return {
    kind: LARGE_KINDS[turn % LARGE_KINDS.length] ?? "chunks",
    secure: turn % 4 >= 2,
    reading: READINGS[random(3)] ?? "fast",
    bytes: LARGE_BYTES,
    piece: PIECES[1 + random(PIECES.length - 1)] ?? 16_384,
  };
}

async function runDownload(server: TestServer, order: Download, random: Random): Promise<void> {
  const { kind, secure, reading, bytes, piece } = order;
  const from = kind === "file" ? 0 : random(1_000_000);
  const pauseEvery = random(2) * 50;
  const query = formatOrder({ from, bytes, piece, pauseEvery, announced: kind === "announced" });
  const path = {
    chunks: `/produces/0${query}`,
    announced: `/produces/0${query}`,
    whole: `/whole/0${query}`,
    file: `/file-${bytes}.bin`,
    spooled: `/spooled/produces/0${query}`,
  }[kind];
  const endpoint = { port: server.port(secure ? "https" : "http"), secure };
  try {
    await download({ endpoint, path, from, bytes, reading, random });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(`${message}; ${JSON.stringify(order)}`, { cause: error });
  }
}

/** Runs a few at a time. @throws The first error. */
async function runAll(
  orders: readonly Download[],
  run: (order: Download) => Promise<void>,
): Promise<void> {
  const waiting = [...orders];
  const lane = async (): Promise<void> => {
    for (let order = waiting.shift(); order !== undefined; order = waiting.shift()) {
      await run(order);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, lane));
}

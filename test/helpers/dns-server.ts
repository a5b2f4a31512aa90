import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";
import { Resolver } from "node:dns/promises";

/** Data of one record. */
export type DnsRecord =
  | { readonly type: "A" | "AAAA"; readonly address: string; readonly ttl: number }
  | {
      readonly type: "SRV";
      readonly target: string;
      readonly port: number;
      readonly priority: number;
      readonly weight: number;
      readonly ttl: number;
    };

const TYPES = { A: 1, AAAA: 28, SRV: 33 } as const;
const CLASS_INTERNET = 1;

const NO_ERROR = 0;
const SERVER_FAILURE = 2;
const NAME_ERROR = 3;

/** A server of the DNS over UDP (RFC 1035), for the records that a test gives it. */
export class DnsServer {
  /** Records by name. A name without an entry does not exist. */
  readonly records = new Map<string, readonly DnsRecord[]>();
  /** Asked names with the type of the records, such as `A api.internal`. */
  readonly queries: string[] = [];
  /** `refuse`: answers with an error. `silent`: does not answer. */
  mode: "answer" | "refuse" | "silent" = "answer";
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("message", (query, { port, address }) => {
      const answer = this.#answer(query);
      if (answer !== null) socket.send(answer, port, address);
    });
  }

  static async start(t: TestContext): Promise<DnsServer> {
    const socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    t.after(() => socket.close());
    return new DnsServer(socket);
  }

  /** Returns a resolver that asks only this server. */
  resolver(): Resolver {
    const resolver = new Resolver({ timeout: 300, tries: 1 });
    resolver.setServers([`127.0.0.1:${this.#socket.address().port}`]);
    return resolver;
  }

  #answer(query: Buffer): Buffer | null {
    const { name, type, end } = readQuestion(query);
    const typeName = Object.entries(TYPES).find(([, number]) => number === type)?.[0] ?? "?";
    this.queries.push(`${typeName} ${name}`);
    if (this.mode === "silent") return null;
    const known = this.records.get(name);
    const records = (known ?? []).filter((record) => record.type === typeName);
    const missing = known === undefined ? NAME_ERROR : NO_ERROR;
    const isRefused = this.mode === "refuse";
    const head = Buffer.from(query.subarray(0, 12));
    // A response, with recursion, and the code.
    head.writeUInt16BE(0x8180 | (isRefused ? SERVER_FAILURE : missing), 2);
    head.writeUInt16BE(isRefused ? 0 : records.length, 6);
    head.writeUInt32BE(0, 8);
    const answers = isRefused ? [] : records.map(toBytes);
    return Buffer.concat([head, query.subarray(12, end), ...answers]);
  }
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let size = query.readUInt8(at); size > 0; size = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + size).toLowerCase());
    at += 1 + size;
  }
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

function toBytes(record: DnsRecord): Buffer {
  const data = toData(record);
  const head = Buffer.alloc(12);
  // The name of the question, which stands at byte 12.
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(TYPES[record.type], 2);
  head.writeUInt16BE(CLASS_INTERNET, 4);
  head.writeUInt32BE(record.ttl, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function toData(record: DnsRecord): Buffer {
  switch (record.type) {
    case "A":
      return Buffer.from(record.address.split(".").map(Number));
    case "AAAA":
      return toIPv6(record.address);
    case "SRV": {
      const head = Buffer.alloc(6);
      head.writeUInt16BE(record.priority, 0);
      head.writeUInt16BE(record.weight, 2);
      head.writeUInt16BE(record.port, 4);
      const labels = record.target
        .split(".")
        .flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, "latin1")]);
      return Buffer.concat([head, ...labels, Buffer.from([0])]);
    }
    default:
      throw new TypeError("unknown record");
  }
}

/** Takes addresses with one `::`. */
function toIPv6(address: string): Buffer {
  const [first = "", last = ""] = address.split("::");
  const [before, after] = [toGroups(first), toGroups(last)];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  const bytes = Buffer.alloc(16);
  for (const [at, group] of [...before, ...zeros, ...after].entries()) {
    bytes.writeUInt16BE(group, 2 * at);
  }
  return bytes;
}

function toGroups(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

import type { Socket } from "node:net";
import { parseBlock } from "../../runtime/http/field-block.ts";
import { startRawUpstream, type TestUpstream } from "../helpers/upstreams.ts";
import type { Owner } from "../helpers/temporary-folder.ts";
import type { OriginAnswer } from "./conformance.ts";
import { toBlock } from "./model-cache.ts";

/** A request as the scripted origin got it. */
export interface OriginRequest {
  method: string;
  target: string;
  /** Field block, names in lower case. */
  fields: string;
}

/** Returns the answer to a request. */
export type Script = (request: OriginRequest) => OriginAnswer;

/** Starts an upstream that sends exactly the fields of a script, and ends or breaks its bodies as the script says. */
export function startScriptedOrigin(t: Owner, script: Script): Promise<TestUpstream> {
  return startRawUpstream(t, (socket) => {
    let received = "";
    socket.on("data", (bytes: Buffer) => {
      received += bytes.toString("latin1");
      for (let end = headEnd(received); end !== -1; end = headEnd(received)) {
        const request = parse(received.slice(0, end));
        received = received.slice(end + HEAD_END.length);
        write(socket, request, script(request));
      }
    });
  });
}

const HEAD_END = "\r\n\r\n";

function headEnd(received: string): number {
  return received.indexOf(HEAD_END);
}

function parse(head: string): OriginRequest {
  const [line = "", ...lines] = head.split("\r\n");
  const [method = "", target = ""] = line.split(" ");
  const fields = lines.map((each) => {
    const colon = each.indexOf(":");
    return `${each.slice(0, colon).toLowerCase()}\n${each.slice(colon + 1).trim()}`;
  });
  return { method, target, fields: fields.join("\n") };
}

function write(socket: Socket, { method }: OriginRequest, answer: OriginAnswer): void {
  const { status = 200, fields = {}, body = "", isBroken = false } = answer;
  if (status === "down") {
    socket.destroy();
    return;
  }
  const own = parseBlock(toBlock(fields));
  const hasBody = status !== 204 && status !== 304;
  const isChunked = isBroken && fields["content-length"] === undefined;
  if (isChunked) own.push(["transfer-encoding", "chunked"]);
  else if (hasBody && fields["content-length"] === undefined) {
    own.push(["content-length", String(body.length)]);
  }
  const lines = own.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const sent = !hasBody || method === "HEAD" ? "" : isChunked ? toChunk(body) : body;
  const bytes = Buffer.from(`HTTP/1.1 ${status} \r\n${lines}\r\n${sent}`, "latin1");
  if (isBroken) socket.end(bytes);
  else socket.write(bytes);
}

function toChunk(body: string): string {
  return `${body.length.toString(16)}\r\n${body}\r\n`;
}

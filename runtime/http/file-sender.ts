import type { HandedFile } from "../channel/messages.ts";
import type { BodySource, Client } from "./client.ts";

/** An answer with a file that a handler named by its path. */
export interface NamedFile {
  /** Absolute path. */
  path: string;
  status: number;
  statusText: string;
  /** Field block. Its fields replace those of the file. */
  fields: string;
}

/** Sends files that workers hand over: no byte passes through a worker. */
export interface FileSender {
  /**
   * Opens bytes of a file that a worker has open.
   *
   * @param pid Process id of the worker.
   * @returns `null` if that is not possible: the worker then sends the bytes.
   */
  openHanded(pid: number, file: HandedFile): Promise<BodySource | null>;
  /** Answers with a file as the public folder does. 404 if there is none. */
  answerWith(client: Client, file: NamedFile): void;
}

/** The head of an answer, without its body. */
export interface AnswerHead {
  status: number;
  statusText: string;
  /** Field block. */
  fields: string;
}

/** The file of the public folder that a request found, before middleware runs. */
export interface FoundFile {
  status: number;
  /** Field block, with `content-length`. */
  fields: string;
  /**
   * Answers with the file as it is by then. Its head differs from the head above in the same way as the given one does: as
   * the middleware has changed it.
   */
  answer(client: Client, changed: AnswerHead): void;
}

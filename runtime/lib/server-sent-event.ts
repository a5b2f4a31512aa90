/** Ends of lines in an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
const LINE_END = /\r\n|\r|\n/;

/** Returns the event with a message, in the form of `text/event-stream`. Each line of the message has a field `data`. */
export function toEvent(message: string): string {
  return `data: ${message.split(LINE_END).join("\ndata: ")}\n\n`;
}

/** A comment: clients ignore it, proxies and firewalls see that the connection is alive. */
export const COMMENT = ":\n\n";

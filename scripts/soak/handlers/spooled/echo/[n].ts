// The same, with bodies on disk instead of in flight.
export { default } from "../../echo/[n].ts";
export const config = { bodyBufferBytes: 16_384, overflow: "spool", responseOverflow: "spool" };

import { fromNode } from "edgicorn";
import { handler } from "../dist/server/entry.mjs";

export default fromNode(handler);

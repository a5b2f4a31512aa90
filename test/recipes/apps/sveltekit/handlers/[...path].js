import { fromNode } from "edgicorn";
import { handler } from "../build/handler.js";

export default fromNode(handler);

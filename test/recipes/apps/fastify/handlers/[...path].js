import { fromNode } from "edgicorn";
import { buildApp } from "../src/app.js";

const app = buildApp();
await app.ready();

export default fromNode(app.routing);

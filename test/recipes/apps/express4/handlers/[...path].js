import { fromNode } from "edgicorn";
import app from "../src/app.js";

export default fromNode(app);

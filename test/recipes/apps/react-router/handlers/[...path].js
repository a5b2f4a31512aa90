import { createRequestHandler } from "react-router";
import * as build from "../build/server/index.js";

const handle = createRequestHandler(build);

export default (request) => handle(request);

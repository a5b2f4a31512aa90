import express from "express4";
import { build } from "../../../apps/express/src/build.js";

export default build(express);

import express from "express";
import { build } from "./build.js";

export default build(express);

import express from "express4";

export default express.Router();

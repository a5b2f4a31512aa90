import express from "express";

const app = express();
app.get("/express", (_req, res) => res.send("hi"));

export default (req: unknown, res: unknown) => app(req, res);

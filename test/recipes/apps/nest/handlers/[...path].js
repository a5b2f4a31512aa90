import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { fromNode } from "edgicorn";
import { AppModule } from "../build/app.module.js";

const app = await NestFactory.create(AppModule, { logger: ["error", "warn"] });
await app.init();

export default fromNode(app.getHttpAdapter().getInstance());

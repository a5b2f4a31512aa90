import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";

class App {}
Module({})(App);

export default await NestFactory.create(App, { logger: false });

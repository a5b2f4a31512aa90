import {
  Body,
  Controller,
  Get,
  HttpCode,
  Injectable,
  Module,
  NotFoundException,
  Param,
  ParseIntPipe,
  Post,
  Sse,
  UploadedFile,
  UseInterceptors,
} from "@nestjs/common";
import { FileInterceptor } from "@nestjs/platform-express";
import { interval, map, take, type Observable } from "rxjs";

@Injectable()
export class Cats {
  find(id: number): { id: number } {
    if (id > 9) throw new NotFoundException(`no cat ${id}`);
    return { id };
  }
}

@Controller()
export class AppController {
  // Which class this is, Nest knows from the metadata that the compiler writes.
  constructor(private readonly cats: Cats) {}

  @Get()
  hello(): string {
    return "<h1>Hello from Nest</h1>";
  }

  @Get("cats/:id")
  cat(@Param("id", ParseIntPipe) id: number): { id: number } {
    return this.cats.find(id);
  }

  @Post("cats")
  @HttpCode(201)
  create(@Body() body: object): object {
    return { received: body };
  }

  @Post("upload")
  @UseInterceptors(FileInterceptor("file"))
  upload(@UploadedFile() file: { originalname: string; size: number }): object {
    return { name: file.originalname, size: file.size };
  }

  @Sse("events")
  events(): Observable<{ data: string }> {
    return interval(10).pipe(
      take(3),
      map((n) => ({ data: `event ${n}` })),
    );
  }
}

@Module({ controllers: [AppController], providers: [Cats] })
export class AppModule {}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { otlpEndpoint } from "../../runtime/config/otlp-setting.ts";
import { parseHeaders, parseResource } from "../../runtime/trace/otel-variables.ts";

describe("parseResource()", () => {
  it("names the service as OpenTelemetry's variables do", () => {
    const pid = { "process.pid": String(process.pid) };
    assert.deepEqual(parseResource({}), { "service.name": "edgicorn", ...pid });
    const OTEL_RESOURCE_ATTRIBUTES =
      "service.name=a, deployment.environment.name = b%20c,broken,=x";
    assert.deepEqual(parseResource({ OTEL_RESOURCE_ATTRIBUTES }), {
      ...pid,
      "service.name": "a",
      "deployment.environment.name": "b c",
    });
    const named = parseResource({ OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME: "shop" });
    assert.equal(named["service.name"], "shop");
  });
});

describe("parseHeaders()", () => {
  it("reads the fields for the collector, and leaves out those that HTTP cannot carry", () => {
    const OTEL_EXPORTER_OTLP_HEADERS = "Authorization=Bearer%20abc,x=1,bad name=1,y=%0a,z=100%";
    assert.deepEqual(
      parseHeaders({ OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x=2" }),
      { authorization: "Bearer abc", x: "2", z: "100%" },
    );
    assert.deepEqual(parseHeaders({}), {});
  });
});

describe("otlpEndpoint()", () => {
  const cases: [value: unknown, url: string | null][] = [
    ["http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"],
    ["https://otlp.example/", "https://otlp.example/v1/traces"],
    ["https://otlp.example/otlp/", "https://otlp.example/otlp/v1/traces"],
    ["https://otlp.example/otlp/v1/traces", "https://otlp.example/otlp/v1/traces"],
    ["https://user:secret@otlp.example", null],
    ["https://otlp.example/?key=1", null],
    ["grpc://otlp.example:4317", null],
    ["localhost:4318", null],
    [4318, null],
  ];
  for (const [value, url] of cases) {
    it(`${url === null ? "refuses" : "takes"} ${String(value)}`, () => {
      assert.equal(otlpEndpoint().parse(value)?.value ?? null, url);
    });
  }
});

type Variables = Readonly<Record<string, string | undefined>>;

/** Returns the attributes that name this service, from `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME`. */
export function parseResource(env: Variables): Record<string, string> {
  return {
    "service.name": "edgicorn",
    "process.pid": String(process.pid),
    ...parsePairs(env["OTEL_RESOURCE_ATTRIBUTES"]),
    ...(env["OTEL_SERVICE_NAME"] && { "service.name": env["OTEL_SERVICE_NAME"] }),
  };
}

/** Returns the fields for the collector, from `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_EXPORTER_OTLP_TRACES_HEADERS`. */
export function parseHeaders(env: Variables): Record<string, string> {
  const pairs = {
    ...parsePairs(env["OTEL_EXPORTER_OTLP_HEADERS"]),
    ...parsePairs(env["OTEL_EXPORTER_OTLP_TRACES_HEADERS"]),
  };
  const fields = Object.entries(pairs).map(([name, value]) => [name.toLowerCase(), value] as const);
  // Others would make each request to the collector fail.
  return Object.fromEntries(
    fields.filter(
      ([name, value]) => /^[\w!#$%&'*+.^`|~-]+$/.test(name) && /^[\t -~]*$/.test(value),
    ),
  );
}

/** Parses `name=value,name=value`, percent-encoded (the format of W3C Baggage). Leaves out pairs of another form. */
function parsePairs(text = ""): Record<string, string> {
  const pairs = text.split(",").map((pair) => /^\s*([^=]+?)\s*=\s*(.*?)\s*$/.exec(pair));
  return Object.fromEntries(
    pairs.flatMap((match) => {
      const [, name = "", value = ""] = match ?? [];
      return name === "" ? [] : [[name, decode(value)]];
    }),
  );
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    // A percent sign that encodes nothing.
    return value;
  }
}

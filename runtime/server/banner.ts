import { styleText } from "node:util";

/** The facts that the banner shows once the server serves. */
export interface BannerInfo {
  version: string;
  mode: "production" | "development";
  /** Addresses for a browser: `http://localhost:8080`. */
  addresses: readonly string[];
  /** In the order to show. */
  routes: readonly BannerRoute[];
  /** Path for users: `handlers`. */
  handlersDir: string;
  /** Names of the sites beside the default one. Default: none. */
  sites?: readonly string[];
  /** Upstream servers and groups of proxies. Default: none. */
  proxies?: readonly string[];
  /** `null`: no static files. */
  publicFiles: { dir: string; count: number } | null;
  /** `3 variables from .env`; `null`: no file of variables was read. */
  variables: string | null;
  /** Empty: the handlers could not be loaded, and the server waits for the next change. */
  workers: readonly { pid: number }[];
  /** `null`: no HTTPS. */
  certificate: BannerCertificate | null;
  /** The package of uWebSockets.js that an operator chose: `uws-pack 20.0.8`. `null`: Edgicorn chose one. */
  library: string | null;
  /** The engine, with the reason for it; `null`: uWebSockets.js. */
  engine: string | null;
  pid: number;
  /** Time from the start of the process until it answered. */
  startedInMs: number;
}

export interface BannerRoute {
  /** Empty: any method. */
  methods: readonly string[];
  /** `/users/:id` */
  pattern: string;
  /** `users/[id].ts`, or the name of a Python application. */
  file: string;
  isApp?: boolean;
  /** The site that it belongs to; `null` or absent: the default one. */
  site?: string | null;
}

export interface BannerCertificate {
  origin: "development" | "operator";
  /** Path of the folder for users. */
  dir: string;
  /** Whether this start created it. */
  created: boolean;
  /** Server names of all certificates. */
  names: readonly string[];
  /** Time at which the first of them expires, Unix time. */
  notAfterMs: number;
}

/** The abilities of a terminal. */
export interface Terminal {
  color: boolean;
  columns: number;
  /** Whether characters outside of ASCII arrive as such. */
  unicode: boolean;
}

/** Returns the abilities of a terminal. Honours `NO_COLOR` and `FORCE_COLOR`. A terminal whose `TERM` is `dumb` has none. */
export function resolveTerminal(
  stream: { isTTY?: boolean; columns?: number },
  env: Readonly<Record<string, string | undefined>>,
): Terminal {
  const isDumb = env["TERM"] === "dumb";
  const forced = env["FORCE_COLOR"] ?? "";
  const wanted = forced === "" ? stream.isTTY === true && !isDumb : forced !== "0";
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  return {
    color: wanted && (env["NO_COLOR"] ?? "") === "",
    // A terminal that does not know its width says 0.
    columns: stream.columns || 80,
    unicode: !isDumb && /utf-?8/i.test(locale),
  };
}

/** Returns the start banner: short, no line wider than the terminal unless a single word is; ends with a line feed. */
export function formatBanner(info: BannerInfo, terminal: Terminal): string {
  // `terminal` decides. From Node 24 on, Node would look at standard output, where the banner does not go.
  const paint = (style: Style, text: string): string =>
    terminal.color ? styleText(style, text, { validateStream: false }) : text;
  const bullet = terminal.unicode ? "\u279c" : ">";
  const lines = [
    "",
    `  ${paint(["bold", "green"], "Edgicorn")} ${paint("green", info.version)}  ` +
      paint("dim", `${info.mode}, up in ${Math.round(info.startedInMs)} ms`),
    "",
    ...info.addresses.map(
      (address) => `  ${paint("green", bullet)} ${paint(["bold", "cyan"], address)}`,
    ),
    "",
  ];
  const row = (title: string, text: string): void => {
    const [first = "", ...rest] = wrap(text, terminal.columns - INDENT);
    lines.push(`  ${paint("dim", title.padEnd(INDENT - 2))}${first}`);
    lines.push(...rest.map((line) => " ".repeat(INDENT) + line));
  };
  if (info.sites !== undefined && info.sites.length > 0) row("sites", listSome(info.sites));
  const { proxies = [] } = info;
  // A server of proxies alone has no workers.
  if (proxies.length === 0 || info.routes.length > 0) row("routes", describeRoutes(info));
  lines.push(...formatRoutes(info.routes, terminal).map((line) => `    ${line}`));
  if (proxies.length > 0) row("proxy", listSome(proxies));
  if (info.publicFiles !== null) {
    const { dir, count } = info.publicFiles;
    row("files", `${countOf(count, "file")} from ${dir}/`);
  }
  if (info.variables !== null) row("env", info.variables);
  if (info.workers.length > 0) {
    row("workers", `${info.workers.length} (pid ${info.workers.map(({ pid }) => pid).join(", ")})`);
  }
  if (info.certificate !== null) row("https", describeCertificate(info.certificate));
  if (info.engine !== null) row("engine", info.engine);
  if (info.library !== null) row("library", `uWebSockets.js from ${info.library}`);
  row(
    "stop",
    info.mode === "development"
      ? "Ctrl+C"
      : `Ctrl+C, or kill ${info.pid}: both finish open requests`,
  );
  lines.push("");
  return `${lines.join("\n")}\n`;

  function formatRoutes(routes: readonly BannerRoute[], { columns }: Terminal): string[] {
    const shown = routes.slice(0, MAX_ROUTES);
    const methods = shown.map((route) => route.methods.join(",") || "any");
    const methodWidth = Math.max(0, ...methods.map((text) => text.length)) + 2;
    const patterns = shown.map(({ site, pattern }) => `${site ?? ""}${pattern}`);
    const patternWidth = Math.max(0, ...patterns.map(({ length }) => length)) + 2;
    const rows = shown.map(({ file }, index) => {
      const pattern = patterns[index] ?? "";
      const method = (methods[index] ?? "").padEnd(methodWidth);
      // On a narrow terminal the file, which repeats the pattern, goes first.
      const fits = 4 + methodWidth + patternWidth + file.length <= columns;
      return (
        paint("dim", method) + (fits ? pattern.padEnd(patternWidth) + paint("dim", file) : pattern)
      );
    });
    const more = routes.length - shown.length;
    return more > 0 ? [...rows, paint("dim", `and ${more} more`)] : rows;
  }
}

type Style = Parameters<typeof styleText>[0];

const INDENT = 12;
const MAX_ROUTES = 12;

function describeRoutes({ routes, handlersDir, workers }: BannerInfo): string {
  if (workers.length === 0) return "none until the handlers can be loaded: see above";
  return routes.length === 0
    ? `none yet: put a handler in ${handlersDir}/, such as ${handlersDir}/hello.ts`
    : describeOrigins(routes, handlersDir);
}

/** `3 from handlers/, all others to app:app`. */
function describeOrigins(routes: readonly BannerRoute[], handlersDir: string): string {
  const ofHandlers = routes.filter(({ isApp, site }) => isApp !== true && isDefault(site)).length;
  const ofSites = routes.filter(({ site }) => !isDefault(site));
  const apps = routes
    .filter(({ isApp, site }) => isApp === true && isDefault(site))
    .map(({ file, pattern }) => {
      const mount = pattern.slice(0, -"/**".length);
      return mount === ""
        ? `${ofHandlers > 0 ? "others" : "all"} to ${file}`
        : `${mount} to ${file}`;
    });
  const sites = new Set(ofSites.map(({ site }) => site)).size;
  return [
    ...(ofHandlers > 0 ? [`${ofHandlers} from ${handlersDir}/`] : []),
    ...apps,
    ...(sites > 0 ? [`${ofSites.length} from ${countOf(sites, "site")}`] : []),
  ].join(", ");
}

function describeCertificate({
  origin,
  dir,
  created,
  names,
  notAfterMs,
}: BannerCertificate): string {
  if (origin === "development") {
    return (
      `development certificate ${created ? "made in" : "from"} ${dir}/: browsers will warn. ` +
      `Put your own NAME.crt and NAME.key there.`
    );
  }
  return `${listSome(names) || "certificate"} from ${dir}/, valid until ${new Date(notAfterMs).toISOString().slice(0, 10)}`;
}

/** `a, b, c, d and 3 more`. */
function listSome(names: readonly string[]): string {
  const more = names.length > 4 ? ` and ${names.length - 4} more` : "";
  return names.slice(0, 4).join(", ") + more;
}

function isDefault(site: string | null | undefined): boolean {
  return site === null || site === undefined;
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** Breaks a text between words. */
function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}

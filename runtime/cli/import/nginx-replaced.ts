import type { Directive } from "./parse-nginx.ts";

/** Tells whether a `proxy_pass` leads to the Gunicorn whose place this server takes. */
export function isReplaced(
  url: string,
  {
    upstreams,
    gunicornBinds,
  }: { upstreams: readonly Directive[]; gunicornBinds: readonly string[] },
): boolean {
  const address = toAddress(url);
  const group = upstreams.find(({ args }) => args[0] === address);
  const servers = (group?.block ?? []).filter(({ name }) => name === "server");
  const addresses =
    group === undefined ? [address] : servers.map(({ args }) => toAddress(args[0] ?? ""));
  const binds = gunicornBinds.map(toAddress);
  return addresses.length > 0 && addresses.every((one) => binds.includes(one));
}

/** Returns one spelling for an address: `unix:/run/app.sock`, `127.0.0.1:8000`. */
function toAddress(text: string): string {
  const plain = text.replace(/^https?:\/\//, "").replace(/^(unix:[^:]*)(?::.*)?$/, "$1");
  if (plain.startsWith("unix:")) return plain.replace(/^unix:\/{2,}/, "unix:/");
  return plain
    .replace(/\/.*$/, "")
    .replace(/^(?:localhost|0\.0\.0\.0|\[::1?\]|\*)?:/, "127.0.0.1:");
}

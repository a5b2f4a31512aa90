import type { Directive } from "./parse-nginx.ts";

/**
 * Replaces the variables of a server that have one fixed value: `set $base /var/www; root $base/public;`. Their `set`
 * lines go. Variables that a condition sets, or that are set twice, stay.
 */
export function resolveConstants(server: readonly Directive[]): Directive[] {
  const counts = new Map<string, number>();
  countSets(server, counts);
  const values = new Map<string, string>();
  for (const { name, args } of server) {
    const [variable = "", value = ""] = args;
    if (name !== "set" || counts.get(variable) !== 1) continue;
    const resolved = resolve(value, values);
    if (!/\$[\w{]/.test(resolved)) values.set(variable.slice(1), resolved);
  }
  return values.size === 0 ? [...server] : replaceAll(server, values);
}

function countSets(directives: readonly Directive[], counts: Map<string, number>): void {
  for (const { name, args, block } of directives) {
    const [variable = ""] = args;
    if (name === "set") counts.set(variable, (counts.get(variable) ?? 0) + 1);
    if (block !== null) countSets(block, counts);
  }
}

function replaceAll(
  directives: readonly Directive[],
  values: ReadonlyMap<string, string>,
): Directive[] {
  return directives
    .filter(({ name, args }) => name !== "set" || !values.has((args[0] ?? "").slice(1)))
    .map((directive) => ({
      ...directive,
      args: directive.args.map((arg) => resolve(arg, values)),
      block: directive.block === null ? null : replaceAll(directive.block, values),
    }));
}

function resolve(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(
    /\$(?:\{(\w+)\}|(\w+))/g,
    (whole, braced?: string, plain?: string) => values.get(braced ?? plain ?? "") ?? whole,
  );
}

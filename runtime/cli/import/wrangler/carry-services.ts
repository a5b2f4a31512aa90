import { existsSync } from "node:fs";
import { join } from "node:path";
import { Section } from "../section.ts";
import type { Carrying } from "./carrying.ts";
import type { Item, Table } from "./item.ts";
import { reportUnknown, reportUnused } from "./report-unknown.ts";
import { setBinding } from "./set-binding.ts";

const SERVICE_KEYS = ["binding", "service", "environment", "entrypoint", "props", "remote"];

/** Carries bindings of the project itself over, and those of projects in folders beside it as sites. */
export function carryServices(item: Item, carrying: Carrying): void {
  const { config, report, keys } = carrying;
  const own = keys.get("name")?.content;
  for (const service of item.tables()) {
    const name = service.need("binding").text();
    const target = service.need("service").text();
    const entrypoint = service.get("entrypoint");
    const props = service.get("props");
    const line = { ...service.item.where, text: `${service.item.path} ${name}` };
    reportUnused(service, { remote: "about wrangler dev" }, { report });
    reportUnknown(service, SERVICE_KEYS, { report });
    if (entrypoint !== null) {
      report.lost(
        line,
        `only the default export of a module is called: move ${entrypoint.text()} there`,
      );
    } else if (target === own) {
      setBinding(name, new Section({ service: "default" }), {
        config,
        report,
        item: service.item,
      });
      reportEnvironment(service, carrying);
    } else carryOther(service, carrying);
    if (entrypoint === null && props !== null) {
      report.lost(props.where, "context.props is empty: send fields instead");
    }
  }
}

/** Reports the environment of a call to the project itself, unless it is the usual one. */
function reportEnvironment(service: Table, { report }: Carrying): void {
  const environment = service.get("environment");
  if (environment === null || environment.text() === "production") return;
  report.changed(environment.where, "calls reach the environment of this import");
}

/** Makes another project a site that no visitor reaches, if the import has found its module. */
function carryOther(service: Table, { config, report, draft, places, others }: Carrying): void {
  const name = service.need("binding").text();
  const target = service.need("service").text();
  const line = { ...service.item.where, text: `${service.item.path} ${name}` };
  const other = others.get(target);
  const host = toHost(target);
  const file = `sites/${host}/handlers/[...path].js`;
  const before = draft.others.get(file) ?? other?.main;
  const isTaken = existsSync(join(places.cwd, "sites", host)) || before !== other?.main;
  if (other === undefined || isTaken) {
    const module = other === undefined ? `its module (export { default } from "PATH")` : other.main;
    report.lost(
      line,
      `found ${isTaken ? `sites/${host}` : `no project ${target} in a folder beside this one`}: write ${file} for ${module}, add bindings: { ${name}: { service: "${host}" } }, and close the site for visitors: sites: { "${host}": { rules: [{ path: "/**", respond: { status: 404 } }] } }`,
    );
    return;
  }
  draft.others.set(file, other.main);
  // Calls pass no rules.
  const closed = new Section({ path: "/**", respond: new Section({ status: 404 }) });
  config.child("sites").child(host).set("rules", [closed]);
  setBinding(name, new Section({ service: host }), { config, report, item: service.item });
  report.todo(
    line,
    `${file} runs ${other.main}: add the bindings of ${other.file} here, each with sites: ["${host}"], under names that no other binding has`,
  );
}

/** Returns the host name of the site of another project. No visitor can look it up. */
function toHost(service: string): string {
  return `${service.toLowerCase().replaceAll(/[^a-z\d-]/g, "-")}.internal`;
}

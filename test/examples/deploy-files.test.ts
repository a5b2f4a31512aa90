import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  type SettingName,
  SETTINGS,
  SETTING_NAMES,
  environmentName,
  settingOf,
} from "../../runtime/config/settings.ts";
import { FAMILIES, nameOf } from "../../runtime/metrics/families.ts";
import { parseDurationMs } from "../../runtime/config/units.ts";

const DIR = join(import.meta.dirname, "../../docs/deploy");

const FILES = readdirSync(DIR, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) => join(parentPath, name));

function read(name: string): string {
  return readFileSync(join(DIR, name), "utf8");
}

/** Variables of a file in the forms of YAML, of a Dockerfile and of systemd. */
function variablesOf(text: string): [name: string, value: string][] {
  const forms = [
    /name: (EDGICORN_\w+), value: "?([^"}]*?)"? }/g,
    /^ +(EDGICORN_\w+): "(.*)"$/gm,
    /(EDGICORN_\w+)=([^\s\\]+)/g,
  ];
  return forms.flatMap((form) =>
    [...text.matchAll(form)].map(([, name = "", value = ""]): [string, string] => [name, value]),
  );
}

function settingNamed(variable: string): SettingName | undefined {
  return SETTING_NAMES.find((name) => environmentName(name) === variable);
}

function secondsOf(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  assert.ok(found !== undefined, `found no ${pattern.source}`);
  return (parseDurationMs(/^\d+$/.test(found) ? `${found}s` : found) ?? NaN) / 1000;
}

describe("the files in docs/deploy", () => {
  it("name variables that are settings, with values that these accept", () => {
    let count = 0;
    for (const path of FILES) {
      for (const [variable, value] of variablesOf(readFileSync(path, "utf8"))) {
        const name = settingNamed(variable);
        assert.ok(name !== undefined, `${path}: ${variable} is no setting`);
        assert.notEqual(settingOf(name).type.parse(value), null, `${path}: ${variable}=${value}`);
        count++;
      }
    }
    assert.ok(count >= 9, `found ${count} variables`);
  });

  it("give a server that stops more time than it takes", () => {
    const drain = (parseDurationMs(SETTINGS.drainGrace.default) ?? NaN) / 1000;
    assert.ok(secondsOf(read("systemd/edgicorn.service"), /^TimeoutStopSec=(\d+)$/m) > drain);
    const compose = read("docker/compose.yaml");
    const composed =
      secondsOf(compose, /EDGICORN_SHUTDOWN_DELAY: "(\w+)"/) +
      secondsOf(compose, /EDGICORN_DRAIN_GRACE: "(\w+)"/);
    assert.ok(secondsOf(compose, /stop_grace_period: (\w+)/) > composed);
    const pod = read("kubernetes/edgicorn.yaml");
    const needed =
      secondsOf(pod, /EDGICORN_SHUTDOWN_DELAY, value: (\w+)/) +
      secondsOf(pod, /EDGICORN_DRAIN_GRACE, value: (\w+)/);
    assert.ok(secondsOf(pod, /terminationGracePeriodSeconds: (\d+)/) > needed);
  });

  it("scale by a metric that the server has", () => {
    const series = /seriesQuery: '(\w+)_sum\{/.exec(read("kubernetes/queue-metric.yaml"))?.[1];
    const family = FAMILIES.find((candidate) => nameOf(candidate) === series);
    assert.equal(family?.type, "histogram");
    const defined = /name: \{ as: (\w+) \}/.exec(read("kubernetes/queue-metric.yaml"))?.[1];
    assert.ok(
      defined !== undefined && read("kubernetes/edgicorn.yaml").includes(`name: ${defined} }`),
    );
  });

  it("stand in the page that explains them", () => {
    const page = readFileSync(join(DIR, "../deploy.md"), "utf8");
    for (const path of FILES) {
      const name = path.slice(DIR.length + 1);
      assert.ok(page.includes(`(deploy/${name})`), `docs/deploy.md has no link to ${name}`);
    }
  });

  it("have a unit that systemd accepts", { skip: lacksAnalyze() }, () => {
    const unit = join(DIR, "systemd/edgicorn.service");
    const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", unit], {
      encoding: "utf8",
    });
    // Another machine may have Node in another folder.
    const complaints = stderr
      .split("\n")
      .filter((line) => line !== "" && !line.includes("/usr/bin/node"));
    assert.deepEqual(complaints, []);
    assert.ok(status === 0 || stderr !== "");
  });
});

function lacksAnalyze(): string | false {
  return spawnSync("systemd-analyze", ["--version"]).status === 0 ? false : "needs systemd-analyze";
}

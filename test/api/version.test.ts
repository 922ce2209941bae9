import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { VERSION } from "../../src/core/version.ts";
import { CONFIG_NAMES, readConfig } from "../../workers/config.ts";

test("the version that the API tells is the package's", () => {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  expect(JSON.parse(text)).toMatchObject({ version: VERSION });
});

test("a missing or wrong variable is named, in every environment of wrangler.toml none is missing", () => {
  const good = { PORTOLAN_REGION: "eu", PORTOLAN_REGISTRY_URL: "http://127.0.0.1:1", PORTOLAN_LEDGER_URL: "http://127.0.0.1:2" };
  expect(readConfig({ ...good, PORTOLAN_LEDGER_TOKEN: "" })).toEqual(good);
  for (const name of Object.keys(good)) {
    expect(() => readConfig({ ...good, [name]: undefined })).toThrow(`${name} is not set`);
    expect(() => readConfig({ ...good, [name]: "ftp://x y" })).toThrow(`${name} is wrong`);
  }
  const sections = readFileSync(new URL("../../wrangler.toml", import.meta.url), "utf8")
    .split(/^\[(?=(?:env\.\w+\.)?vars\])/m)
    .slice(1);
  expect(sections.length).toBeGreaterThan(0);
  for (const section of sections) {
    const lines = section.matchAll(/^(\w+) = (?:"(.*)"$|'''([\s\S]*?)''')/gm);
    const set = [...lines].map(([, name = "", value, text]) => [name, value ?? text ?? ""] as const);
    expect(set.map(([name]) => name).filter((name) => !CONFIG_NAMES.includes(name))).toEqual([]);
    expect(() => readConfig(Object.fromEntries(set))).not.toThrow();
  }
});

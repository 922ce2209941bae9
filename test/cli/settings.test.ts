import fc from "fast-check";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { inspectSettings, readSettings, redactToken } from "../../src/cli/settings.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { asCalled, durationS, visible } from "../../src/cli/text.ts";
import { parseSettings } from "../../src/cli/toml.ts";

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "portolan-settings-"));
  mkdirSync(join(cwd, "data"));
  mkdirSync(join(cwd, "xdg", "portolan"), { recursive: true });
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

const SOURCES = ["flag", "environment", "portolan.toml", "xdg", "etc", "credentials"] as const;
type Source = (typeof SOURCES)[number];

function readWith(sources: readonly Source[]) {
  const has = (source: Source): boolean => sources.includes(source);
  const toml = (name: string): string => `# settings\nurl = "http://${name}:1/" # here\ntoken = '${name}-token'\n`;
  if (has("portolan.toml")) writeFileSync(join(cwd, "portolan.toml"), toml("project"));
  if (has("xdg")) writeFileSync(join(cwd, "xdg", "portolan", "config.toml"), toml("xdg"));
  if (has("etc")) writeFileSync(join(cwd, "etc.toml"), toml("etc"));
  if (has("credentials"))
    writeFileSync(join(cwd, "data", "credentials.json"), JSON.stringify({ url: "http://credentials:1", token: "credentials-token" }));
  return readSettings({
    flags: has("flag") ? { url: "http://flag:1", token: "flag-token" } : {},
    env: {
      XDG_CONFIG_HOME: join(cwd, "xdg"),
      ...(has("environment") ? { PORTOLAN_URL: "http://environment:1", PORTOLAN_TOKEN: "environment-token" } : {}),
    },
    cwd,
    systemFile: join(cwd, "etc.toml"),
  });
}

test("the first source wins: flag, environment, ./portolan.toml, own file, /etc, credentials of npm start", () => {
  const names: Record<Source, string> = {
    flag: "flag",
    environment: "environment",
    "portolan.toml": "project",
    xdg: "xdg",
    etc: "etc",
    credentials: "credentials",
  };
  for (let from = SOURCES.length - 1; from >= 0; from--) {
    const { url, token } = readWith(SOURCES.slice(from));
    const name = names[SOURCES[from] ?? "flag"];
    expect([url?.value, token?.value]).toEqual([`http://${name}:1`, `${name}-token`]);
  }
});

test("a token from a file never goes to an address from another file", () => {
  writeFileSync(join(cwd, "portolan.toml"), 'url = "http://stray.example"\n');
  writeFileSync(join(cwd, "data", "credentials.json"), JSON.stringify({ url: "http://own", token: "secret" }));
  const { url, token } = readSettings({ flags: {}, env: {}, cwd, systemFile: join(cwd, "none") });
  expect([url?.value, token]).toEqual(["http://stray.example", null]);
  const given = readSettings({ flags: { url: "http://own" }, env: {}, cwd, systemFile: join(cwd, "none") });
  expect(given.token?.value).toBe("secret");
  const fromEnvironment = readSettings({ flags: {}, env: { PORTOLAN_TOKEN: "mine" }, cwd, systemFile: join(cwd, "none") });
  expect(fromEnvironment.token?.value).toBe("mine");
});

test("a token may stand in a file of its own", () => {
  const file = join(cwd, "token");
  writeFileSync(file, "ptl_x\n");
  expect(readSettings({ flags: {}, env: { PORTOLAN_URL: "http://a", PORTOLAN_TOKEN_FILE: file }, cwd }).token?.value).toBe("ptl_x");
  writeFileSync(join(cwd, "portolan.toml"), `url = "http://a"\ntoken_file = "${file}"\n`);
  expect(readSettings({ flags: {}, env: {}, cwd }).token?.value).toBe("ptl_x");
  expect(() => readSettings({ flags: {}, env: { PORTOLAN_TOKEN_FILE: join(cwd, "none") }, cwd })).toThrow(/does not exist/);
});

test("a damaged or unknown setting is refused with its file and, where there is one, its line, not guessed", () => {
  const parse = (text: string) => parseSettings(text, { source: "f.toml", keys: ["url", "token"] });
  for (const text of ['url = "a', "url: http://a", 'url = "a"\nurl = "b"']) expect(() => parse(text)).toThrow(/^f\.toml, line \d: /);
  for (const text of ["[section]", "retries = 3"]) expect(() => parse(text)).toThrow(/^f\.toml has an unknown key "/);
  expect(() => parse("url = 3")).toThrow("f.toml: url is no text");
  expect(parse('# all of TOML\n"url" = \'a\'\ntoken = """\nb"""')).toEqual(
    new Map([
      ["url", "a"],
      ["token", "b"],
    ]),
  );
  writeFileSync(join(cwd, "portolan.toml"), 'adress = "http://a"\n');
  expect(() => readSettings({ flags: {}, env: {}, cwd })).toThrow(/unknown key "adress"/);
  expect(() => readSettings({ flags: { url: "ftp://a" }, env: {}, cwd: join(cwd, "xdg") })).toThrow(/no address of an API/);
});

test("any text at all is either settings or a refusal", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.string({ unit: fc.constantFrom(..."ab=\"'[]\n#\\"), maxLength: 40 })),
      (text) => {
        try {
          parseSettings(text, { source: "f.toml", keys: ["a", "b"] });
        } catch (error) {
          expect(error).toBeInstanceOf(PortolanError);
        }
      },
    ),
  );
});

test("every source is looked at, also those that others overrule, and a file that others can read is told", () => {
  readWith(["portolan.toml", "credentials"]);
  chmodSync(join(cwd, "portolan.toml"), 0o644);
  chmodSync(join(cwd, "data", "credentials.json"), 0o600);
  mkdirSync(join(cwd, "xdg2", "portolan"), { recursive: true });
  writeFileSync(join(cwd, "xdg2", "portolan", "config.toml"), "url = 3\n");
  const reports = inspectSettings({ flags: {}, env: { XDG_CONFIG_HOME: join(cwd, "xdg2") }, cwd, systemFile: join(cwd, "none.toml") });
  expect(reports.map(({ state }) => state)).toEqual(["empty", "empty", "set", "damaged", "absent", "set"]);
  expect(reports.map(({ problem }) => problem?.replace(/.*(chmod|no text).*/, "$1") ?? "")).toEqual(["", "", "chmod", "no text", "", ""]);
  expect(JSON.stringify(reports)).not.toContain("-token");
});

test("a token file is looked for beside the file that names it", () => {
  writeFileSync(join(cwd, "xdg", "portolan", "my-token"), "ptl_y\n");
  writeFileSync(join(cwd, "xdg", "portolan", "config.toml"), 'url = "http://a"\ntoken_file = "my-token"\n');
  expect(readSettings({ flags: {}, env: { XDG_CONFIG_HOME: join(cwd, "xdg") }, cwd }).token?.value).toBe("ptl_y");
});

test("what is shown of a token is its id at most", () => {
  expect(redactToken("ptl_api_0123abcd_5ecret_crc")).toBe("ptl_api_0123abcd_…");
  expect(redactToken("whatever secret")).toBe("…_…");
});

test("escaped text holds no control character and no mark that reorders text, whatever it was", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 50 }), (text) => {
      expect(visible(text)).not.toMatch(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/u);
    }),
  );
  expect(visible("plain – text ✓")).toBe("plain – text ✓");
});

test("durations are read in the units that people write", () => {
  expect([durationS("90s"), durationS("6h"), durationS("1h30m"), durationS("2w")]).toEqual([90, 21_600, 5_400, 1_209_600]);
  for (const text of ["", "6", "h", "0s", "1.5h", "-1h", "1y", "6 h"]) expect(durationS(text)).toBeNull();
});

test("commands in messages are shown as the program was called", () => {
  const env = { PORTOLAN_CALLED_AS: "npx portolan" };
  expect(asCalled('see "portolan job ls", or run: portolan plan start x', env)).toBe(
    'see "npx portolan job ls", or run: npx portolan plan start x',
  );
  expect(asCalled("the portolan project", env)).toBe("the portolan project");
  expect(asCalled("portolan job ls", {})).toBe("portolan job ls");
});

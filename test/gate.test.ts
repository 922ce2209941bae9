import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/**
 * Feeds each rule of the gate one violation, and each tool a clean twin: a tool that checks nothing is caught by the
 * violation, one that fails on everything by the twin. Every lint rule is also taken out of the configuration once, to show
 * that the configuration, and not chance, is what catches the violation.
 */
const ROOT = new URL("..", import.meta.url).pathname;
const CONFIGS = ["tsconfig.json", "tsconfig.base.json", "tsconfig.edge.json", "tsconfig.node.json", ".oxlintrc.json", ".oxfmtrc.json"];

type Files = Readonly<Record<string, string>>;
type Outcome = { readonly code: number; readonly output: string };

let folder = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "portolan-gate-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function project(files: Files): Promise<string> {
  const root = await mkdtemp(join(folder, "case-"));
  for (const config of CONFIGS) await cp(join(ROOT, config), join(root, config));
  await mkdir(join(root, "src/core"), { recursive: true });
  await cp(join(ROOT, "src/core/tsconfig.json"), join(root, "src/core/tsconfig.json"));
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  // Every project of the build has to have at least one file.
  const base: Files = {
    "src/core/seed.ts": "export const seed = 1;\n",
    "src/ledger/seed.ts": "export const seed = 1;\n",
    "src/bus/seed.ts": "export const seed = 1;\n",
  };
  for (const [path, text] of Object.entries({ ...base, ...files })) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

function run(root: string, tool: string, args: readonly string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(join(ROOT, "node_modules/.bin", tool), [...args], { cwd: root, timeout: 170_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, output: stdout + stderr });
    });
  });
}

const lines = (count: number): string => Array.from({ length: count }, (_, i) => `export const a${i} = ${i};\n`).join("");
const longFunction = `export function long(): number {\n  let n = 0;\n${"  n += 1;\n".repeat(60)}  return n;\n}\n`;

const lintViolations: readonly { readonly rule: string; readonly files: Files }[] = [
  {
    rule: "no-floating-promises",
    files: { "src/bus/x.ts": "export async function f(): Promise<void> {}\nexport function g(): void {\n  f();\n}\n" },
  },
  {
    rule: "switch-exhaustiveness-check",
    files: {
      "src/core/x.ts":
        'export function f(kind: "a" | "b"): number {\n  switch (kind) {\n    case "a":\n      return 1;\n  }\n  return 0;\n}\n',
    },
  },
  { rule: "no-explicit-any", files: { "src/core/x.ts": "export const x = (y: any): string => String(y);\n" } },
  { rule: "no-non-null-assertion", files: { "src/core/x.ts": "export const x = (y: string | null): string => y!;\n" } },
  {
    rule: "no-cycle",
    files: {
      "src/core/a.ts": 'import { b } from "./b.ts";\nexport const a = (): number => b();\n',
      "src/core/b.ts": 'import { a } from "./a.ts";\nexport const b = (): number => a();\n',
    },
  },
  { rule: "no-default-export", files: { "src/core/x.ts": "export default 1;\n" } },
  { rule: "max-lines", files: { "src/core/x.ts": lines(251) } },
  { rule: "max-lines-per-function", files: { "src/core/x.ts": longFunction } },
  { rule: "no-restricted-globals", files: { "src/core/x.ts": "export const now = (): number => Date.now();\n" } },
  { rule: "no-restricted-properties", files: { "src/core/x.ts": "export const r = (): number => Math.random();\n" } },
  { rule: "no-restricted-imports", files: { "src/core/x.ts": 'import { seed } from "../ledger/seed.ts";\nexport const x = seed;\n' } },
  {
    rule: "no-restricted-imports",
    files: { "src/core/x.ts": 'import { readFileSync } from "node:fs";\nexport const x = readFileSync;\n' },
  },
  {
    rule: "no-restricted-imports",
    files: {
      "workers/node.ts": "export const w = 1;\n",
      "scanner-daemon/x.ts": 'import { w } from "../workers/node.ts";\nexport const x = w;\n',
    },
  },
  {
    rule: "no-restricted-imports",
    files: { "src/cli/y.ts": "export const y = 1;\n", "src/ledger/x.ts": 'import { y } from "../cli/y.ts";\nexport const x = y;\n' },
  },
  { rule: "no-console", files: { "src/ledger/x.ts": 'console.log("x");\nexport const x = 1;\n' } },
];

/** Removes a rule everywhere, also from the overrides. */
async function withoutRule(root: string, rule: string): Promise<void> {
  const path = join(root, ".oxlintrc.json");
  const config = JSON.parse(await readFile(path, "utf8")) as {
    rules: Record<string, unknown>;
    overrides: { rules: Record<string, unknown> }[];
  };
  let removed = 0;
  for (const rules of [config.rules, ...config.overrides.map((override) => override.rules)]) {
    for (const name of Object.keys(rules)) {
      if (name.split("/").at(-1) === rule) {
        rules[name] = "off";
        removed += 1;
      }
    }
  }
  expect(removed, `the configuration names ${rule}`).toBeGreaterThan(0);
  await writeFile(path, JSON.stringify(config));
}

describe("lint", () => {
  test.each(lintViolations)("catches $rule", async ({ rule, files }) => {
    const root = await project(files);
    const caught = await run(root, "oxlint", ["--type-aware"]);
    expect(caught.output).toContain(rule);
    expect(caught.code).not.toBe(0);
    await withoutRule(root, rule);
    expect((await run(root, "oxlint", ["--type-aware"])).output, "the configuration is what catches it").not.toContain(rule);
  });

  test("passes a clean twin", async () => {
    const root = await project({ "src/core/x.ts": 'export const x = (y: string | null): string => y ?? "";\n' });
    const outcome = await run(root, "oxlint", ["--type-aware"]);
    expect(outcome, outcome.output).toMatchObject({ code: 0 });
  });
});

const typeViolations: readonly { readonly name: string; readonly files: Files; readonly error: string }[] = [
  { name: "core using process", files: { "src/core/x.ts": "export const x = process.pid;\n" }, error: "TS2591" },
  { name: "core using fetch", files: { "src/core/x.ts": 'export const x = fetch("http://localhost");\n' }, error: "TS2304" },
  { name: "core using console", files: { "src/core/x.ts": 'console.log("x");\nexport const x = 1;\n' }, error: "TS2584" },
  {
    name: "core importing node:fs",
    files: { "src/core/x.ts": 'import { readFileSync } from "node:fs";\nexport const x = readFileSync;\n' },
    error: "TS2591",
  },
  {
    name: "core importing an adapter",
    files: { "src/core/x.ts": 'import { seed } from "../ledger/seed.ts";\nexport const x = seed;\n' },
    error: "TS6307",
  },
  {
    name: "an index that may be missing",
    files: { "src/core/x.ts": "export const x = (y: number[]): number => y[0];\n" },
    error: "TS2322",
  },
  { name: "an unused local", files: { "src/core/x.ts": "export const x = (): void => {\n  const y = 1;\n};\n" }, error: "TS6133" },
  { name: "an enum", files: { "src/core/x.ts": "export enum X {\n  A,\n}\n" }, error: "TS1294" },
];

describe("types", () => {
  test.each(typeViolations)("catches $name", async ({ files, error }) => {
    const outcome = await run(await project(files), "tsc", ["-b"]);
    expect(outcome.output).toContain(error);
    expect(outcome.code).not.toBe(0);
  });

  test("passes a clean twin", async () => {
    const outcome = await run(await project({}), "tsc", ["-b"]);
    expect(outcome, outcome.output).toMatchObject({ code: 0 });
  });
});

describe("format", () => {
  test("catches a file that is not formatted", async () => {
    const root = await project({ "src/core/x.ts": "export const x   =  {a:1}\n" });
    expect((await run(root, "oxfmt", ["--check", "src/core/x.ts"])).code).not.toBe(0);
    expect((await run(root, "oxfmt", ["--check", "src/core/seed.ts"])).code).toBe(0);
  });
});

describe("dead code", () => {
  const knip = { entry: ["src/bus/main.ts"], project: ["src/**/*.ts"] };
  const manifest = (dependencies: Files): string => JSON.stringify({ name: "case", type: "module", dependencies });

  test("catches an unused export, file and dependency, and passes a clean twin", async () => {
    const files: Files = {
      ".knip.json": JSON.stringify(knip),
      "package.json": manifest({ zod: "4.6.7" }),
      "src/bus/main.ts": 'import { used } from "./x.ts";\nused();\n',
      "src/bus/x.ts": "export const used = (): number => 1;\nexport const unused = 2;\n",
    };
    const dirty = await run(await project(files), "knip", []);
    expect(dirty.code).not.toBe(0);
    for (const word of ["unused", "src/ledger/seed.ts", "zod"]) expect(dirty.output).toContain(word);

    const clean = await project({ ...files, "package.json": manifest({}), "src/bus/x.ts": "export const used = (): number => 1;\n" });
    for (const seed of ["core", "ledger", "bus"]) await rm(join(clean, `src/${seed}/seed.ts`));
    const outcome = await run(clean, "knip", []);
    expect(outcome, outcome.output).toMatchObject({ code: 0 });
  });
});

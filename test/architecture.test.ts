import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = new URL("..", import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const tracked = (): string[] => execFileSync("git", ["ls-files"], { cwd: ROOT, encoding: "utf8" }).split("\n").filter(Boolean);

test("the top level holds only what a newcomer expects there", () => {
  const allowed =
    /^(\.[^/]+|package(-lock)?\.json|wrangler\.toml|src|workers|scanner-daemon|migrations|test|docs|README\.md|LICENSE|tsconfig[^/]*\.json|[a-z.]+\.config\.ts)$/;
  const top = new Set(tracked().map((path) => path.split("/")[0] ?? path));
  expect([...top].filter((name) => !allowed.test(name))).toEqual([]);
});

test("each npm script that a document names exists", () => {
  const scripts = (JSON.parse(read("package.json")) as { scripts: Record<string, string> }).scripts;
  const documents = tracked().filter((path) => path.endsWith(".md"));
  const named = new Set<string>();
  for (const path of documents) {
    for (const match of read(path).matchAll(/npm (?:run (?:-s |--silent )?([a-z:-]+)|(test|start)\b)/g))
      named.add(match[1] ?? match[2] ?? "");
  }
  expect(named.size).toBeGreaterThan(2);
  expect([...named].filter((name) => scripts[name] === undefined)).toEqual([]);
});

test("each relative link in a document leads to a file", () => {
  const files = tracked();
  const broken: string[] = [];
  for (const path of files.filter((file) => file.endsWith(".md"))) {
    for (const match of read(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)/g)) {
      const target = join(path, "..", match[1] ?? "");
      if (!files.some((file) => file === target || file.startsWith(`${target.replace(/\/$/, "")}/`))) broken.push(`${path}: ${match[1]}`);
    }
  }
  expect(broken).toEqual([]);
});

test("only core/address.ts knows ipaddr.js, and only entries know a runtime", () => {
  const sources = tracked().filter((path) => /^(src|workers|scanner-daemon)\/.*\.tsx?$/.test(path));
  const importing = (pattern: RegExp): string[] => sources.filter((path) => pattern.test(read(path)));
  expect(importing(/from "ipaddr\.js"/)).toEqual(["src/core/address.ts"]);
  expect(importing(/\bDeno\.[a-z]/)).toEqual(["workers/deno.ts"]);
});

test("no two packages of NATS and no file: database come in by another door", () => {
  const sources = tracked().filter((path) => /^(src|workers|scanner-daemon)\/.*\.tsx?$/.test(path));
  const bad = sources.filter((path) =>
    /from "@nats-io\/transport-node"|from "@libsql\/client"|createClient\(\{\s*url: "file:/.test(read(path)),
  );
  expect(bad).toEqual([]);
});

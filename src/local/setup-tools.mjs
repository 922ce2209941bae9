// The programs that npm does not have: by apt as root, else unpacked from Debian packages into .cache/tools.
// Plain JavaScript without dependencies, like setup.mjs.
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, delimiter, join } from "node:path";
import { executable, listed, ROOT, run, say } from "./setup-run.mjs";

const TOOLS = join(ROOT, ".cache/tools");
/** Where Debian packages are unpacked without root; programs are called through wrappers in `TOOLS/bin`. */
const UNPACKED = join(TOOLS, "root");
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const POLICY = "/usr/sbin/policy-rc.d";

/**
 * What is needed for what. `without` says what does not work when the tool cannot be had; `required` lists the purposes that
 * make no sense without it.
 */
const NEEDS = [
  {
    tool: "nats-server",
    packages: ["nats-server"],
    purposes: ["start", "demo", "test"],
    required: ["start", "demo", "test"],
    without: "nothing runs: regions, scanners and keepers talk over it",
  },
  {
    tool: "openssl",
    packages: ["openssl"],
    purposes: ["start", "demo", "test"],
    required: ["demo", "test"],
    without: "no certificates: one region only, and NATS on loopback only",
  },
  {
    tool: "setpriv",
    packages: ["util-linux"],
    purposes: ["start", "demo", "test", "scanner"],
    required: [],
    without: "children outlive a supervisor that is killed by force",
  },
  {
    tool: "masscan",
    packages: ["masscan"],
    purposes: ["start", "demo", "test", "scanner"],
    required: [],
    without: "scans use the slower connect engine; no UDP, and tests on real masscan fail",
  },
  {
    tool: "libpcap",
    packages: ["libpcap0.8"],
    purposes: ["start", "demo", "test", "scanner"],
    required: [],
    without: "masscan cannot receive anything; scans use the connect engine",
    library: "libpcap.so",
  },
  {
    tool: "ethtool",
    packages: ["ethtool"],
    purposes: ["start", "demo", "test", "scanner"],
    required: [],
    without: "offloads of the interface cannot be checked, so masscan is not used",
  },
  {
    tool: "ip",
    packages: ["iproute2"],
    purposes: ["start", "demo", "test", "scanner"],
    required: [],
    without: "no lab of network namespaces; the demo uses loopback listeners",
  },
  {
    tool: "nft",
    packages: ["nftables"],
    purposes: ["demo", "test"],
    required: [],
    without: "no lab of network namespaces; the demo uses loopback listeners",
  },
  { tool: "tcpdump", packages: ["tcpdump"], purposes: ["test"], required: [], without: "tests that capture the wire fail" },
  {
    tool: "chromium",
    packages: ["chromium"],
    purposes: ["browser"],
    required: [],
    without: "tests that open the pages in a browser do not run",
  },
];

/** What `--for=` may name. */
export const PURPOSES = [...new Set(NEEDS.flatMap((need) => need.purposes))];

function haveTool(need) {
  if (need.library !== undefined) return haveLibrary(need.library);
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM_FOLDERS, join(TOOLS, "bin")];
  return folders.some((folder) => folder !== "" && executable(join(folder, need.tool)));
}

function haveLibrary(name) {
  return ["/usr/lib", "/lib", join(UNPACKED, "usr/lib")].some((top) => {
    if (!existsSync(top)) return false;
    const folders = readdirSync(top).filter((entry) => entry.endsWith("-linux-gnu") || entry.endsWith("-linux-gnueabihf"));
    return [top, ...folders.map((folder) => join(top, folder))].some((folder) => listed(folder).some((file) => file.startsWith(name)));
  });
}

// ---------------------------------------------------------------- tools as root

const APT = { DEBIAN_FRONTEND: "noninteractive" };

function aptInstall(packages) {
  return run("apt-get", ["install", "-y", "-q", "--no-install-recommends", ...packages], { env: APT });
}

/** Debian starts and enables the service of a package that it installs; this project runs its own server, so neither may happen. */
function withoutServices(work) {
  const ownPolicy = !existsSync(POLICY);
  if (ownPolicy) {
    writeFileSync(POLICY, "#!/bin/sh\nexit 101\n");
    chmodSync(POLICY, 0o755);
  }
  const unit = "/etc/systemd/system/multi-user.target.wants/nats-server.service";
  const enabledBefore = existsSync(unit) || executable("/usr/sbin/nats-server");
  try {
    return work();
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true });
    if (!enabledBefore) rmSync(unit, { force: true });
  }
}

function installAsRoot(needs) {
  const packages = needs.flatMap((need) => need.packages);
  say(`installing ${packages.join(", ")} with apt-get`);
  let output = "";
  const attempt = (names) => {
    const done = aptInstall(names);
    if (!done.ok) output = done.output;
    return done.ok;
  };
  withoutServices(() => {
    if (attempt(packages)) return;
    run("apt-get", ["update", "-q"], { env: APT });
    if (attempt(packages)) return;
    // One package that this system does not know must not keep the others away.
    for (const name of packages) attempt([name]);
  });
  return output;
}

// ---------------------------------------------------------------- tools without root

/** The packages that apt would install for these, dependencies included; an empty list when apt does not know them. */
function closure(packages, options) {
  const plan = run("apt-get", [...options, "-s", "install", "--no-install-recommends", ...packages]);
  const names = plan.ok ? [...plan.output.matchAll(/^Inst (\S+)/gm)].map((found) => found[1]) : [];
  // A package that the system has, yet whose program is missing, is not in the plan.
  return plan.ok && names.length === 0 ? packages : names;
}

function unpackOne(packages, options) {
  const debs = join(TOOLS, "debs");
  mkdirSync(debs, { recursive: true });
  const names = closure(packages, options);
  if (names.length === 0) return false;
  if (!run("apt-get", [...options, "download", ...names], { cwd: debs }).ok) return false;
  const files = readdirSync(debs).filter((file) => file.endsWith(".deb"));
  const unpacked = files.every((file) => run("dpkg", ["-x", join(debs, file), UNPACKED]).ok);
  rmSync(debs, { recursive: true, force: true });
  return unpacked && files.length > 0;
}

/** A program found through its wrapper finds the libraries unpacked beside it. */
function writeWrappers() {
  const bin = join(TOOLS, "bin");
  mkdirSync(bin, { recursive: true });
  const libraries = ["usr/lib", "lib"].flatMap((top) =>
    ["", ...listed(join(UNPACKED, top)).filter((entry) => entry.includes("-linux-gnu"))].map((entry) => `$here/root/${join(top, entry)}`),
  );
  for (const folder of ["usr/local/sbin", "usr/sbin", "sbin", "usr/bin", "bin"]) {
    for (const file of listed(join(UNPACKED, folder))) {
      const lines = [
        "#!/bin/sh",
        'here=$(cd "$(dirname "$0")/.." && pwd)',
        `LD_LIBRARY_PATH="${libraries.join(":")}" exec "$here/root/${join(folder, file)}" "$@"`,
      ];
      writeFileSync(join(bin, basename(file)), `${lines.join("\n")}\n`, { mode: 0o755 });
    }
  }
}

function unpackWithoutRoot(needs) {
  say(`unpacking ${needs.flatMap((need) => need.packages).join(", ")} into .cache/tools (not root)`);
  const own = join(ROOT, ".cache/apt");
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(own, folder), { recursive: true });
  const ownLists = ["-o", `Dir::State::Lists=${own}/lists`, "-o", `Dir::Cache=${own}/cache`, "-o", "Debug::NoLocking=1"];
  let updated = false;
  for (const need of needs) {
    if (need.tool === "chromium") continue;
    if (unpackOne(need.packages, [])) continue;
    if (!updated) run("apt-get", [...ownLists, "update", "-q"]);
    updated = true;
    unpackOne(need.packages, ownLists);
  }
  writeWrappers();
}

/** Installs what these purposes need, and says plainly what cannot be had; ends the process when something required is missing. */
export function installTools(purposes) {
  const wanted = NEEDS.filter((need) => need.purposes.some((purpose) => purposes.includes(purpose)));
  const missing = wanted.filter((need) => !haveTool(need));
  if (missing.length === 0) return;
  if (process.platform !== "linux" || !executable("/usr/bin/apt-get"))
    say("this system has no apt-get: install the missing tools by its own means");
  let output = "";
  if (executable("/usr/bin/apt-get")) {
    if (process.getuid?.() === 0) output = installAsRoot(missing);
    else unpackWithoutRoot(missing);
  }
  const still = missing.filter((need) => !haveTool(need));
  for (const need of still) say(`could not get ${need.tool} (package ${need.packages.join(", ")}). Without it: ${need.without}`);
  if (still.length > 0 && output !== "") process.stderr.write(`${output.trim().slice(-1_500)}\n`);
  const fatal = still.filter((need) => need.required.some((purpose) => purposes.includes(purpose)));
  if (fatal.length > 0) {
    say(
      `install ${fatal.flatMap((need) => need.packages).join(", ")} (for example: apt-get install ${fatal.flatMap((need) => need.packages).join(" ")}) and run the command again`,
    );
    process.exit(1);
  }
}

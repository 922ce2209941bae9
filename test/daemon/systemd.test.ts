import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findTool, ROOT } from "../../src/local/tools.ts";

const UNITS = join(ROOT, "scanner-daemon/systemd");
const analyze = findTool("systemd-analyze");
/** Exposure that is allowed at most, in tenths: only who needs raw sockets may have more. */
const THRESHOLDS: Readonly<Record<string, number>> = { "portolan-scanner.service": 20, "portolan-nats-users.service": 20 };
const THRESHOLD = 15;
let dir = "";
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-units-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const services = readdirSync(UNITS).filter((name) => name.endsWith(".service"));
const read = (name: string): string => readFileSync(join(UNITS, name), "utf8");

const SANDBOX =
  `UMask=0077 NoNewPrivileges=yes ProtectSystem=strict ProtectHome=yes ProtectProc=invisible ProtectClock=yes ProtectHostname=yes
  ProtectKernelLogs=yes ProtectKernelModules=yes ProtectKernelTunables=yes ProtectControlGroups=yes PrivateTmp=yes PrivateDevices=yes
  PrivateMounts=yes DevicePolicy=closed KeyringMode=private LockPersonality=yes RestrictNamespaces=yes RestrictRealtime=yes
  RestrictSUIDSGID=yes SystemCallArchitectures=native SystemCallFilter=@system-service`.split(/\s+/);

test("every unit has the whole sandbox, and only the scanner has a capability: CAP_NET_RAW", () => {
  expect(services.length).toBeGreaterThanOrEqual(6);
  for (const name of services) {
    const lines = read(name).split("\n");
    expect([name, SANDBOX.filter((line) => !lines.includes(line))]).toEqual([name, []]);
    const capability = name === "portolan-scanner.service" ? "CAP_NET_RAW" : "";
    expect([name, lines.filter((line) => /^(Ambient|.*Bounding)/.test(line))]).toEqual([
      name,
      [`CapabilityBoundingSet=${capability}`, `AmbientCapabilities=${capability}`],
    ]);
    expect([name, /^RestrictAddressFamilies=.*AF_PACKET/m.test(read(name))]).toEqual([name, capability !== ""]);
  }
});

test("Node units lack what would break Node, the scanner also what would break raw sockets, and stopping waits for masscan", () => {
  for (const name of services.filter((unit) => /^ExecStart=.*bin\/node /m.test(read(unit))))
    expect(read(name)).not.toMatch(/^MemoryDenyWriteExecute/m);
  const scanner = read("portolan-scanner.service");
  expect(scanner).not.toMatch(/^Private(Users|Network)=|^SystemCallFilter=~.*@resources/m);
  // The keeper may ask masscan to wait up to 60 s.
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(scanner)?.[1])).toBeGreaterThan(60);
  for (const name of ["portolan-scanner.service", "portolan-keeper.service"]) {
    for (const line of ["Type=notify", "NotifyAccess=all", "WatchdogSec=60", "Restart=on-failure", "KillMode=mixed", "DynamicUser=yes"]) {
      expect(read(name).split("\n")).toContain(line);
    }
  }
  expect(read("portolan-nats.service")).toMatch(/^KillSignal=SIGINT$/m);
});

test("every program and file of this repository that a unit names is there", () => {
  for (const name of services) {
    const files = [...read(name).matchAll(/\/opt\/portolan\/((?:src|workers|scanner-daemon|docs|node_modules)\/[\w./-]+)/g)].map(
      (found) => found[1] ?? "",
    );
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) expect([name, file, spawnSync("test", ["-e", join(ROOT, file)]).status]).toEqual([name, file, 0]);
  }
});

test("systemd finds no fault with the units, and their exposure is within bounds", () => {
  // Without systemd the two tests above are what can be told.
  if (analyze === null) return;
  const copy = join(dir, "units");
  mkdirSync(copy);
  cpSync(UNITS, copy, { recursive: true });
  for (const name of readdirSync(copy)) {
    const file = join(copy, name);
    writeFileSync(
      file,
      readFileSync(file, "utf8")
        .replaceAll("/opt/portolan", ROOT)
        .replaceAll(/^ExecStart(Pre|Post)?=([-+]*)\/usr\/sbin\/\S+/gm, "ExecStart$1=$2/bin/true"),
    );
  }
  const verified = spawnSync(analyze, ["verify", "--man=no", ...readdirSync(copy).map((name) => join(copy, name))], {
    encoding: "utf8",
    timeout: 60_000,
  });
  expect(verified.stderr.split("\n").filter((line) => line.includes("portolan-"))).toEqual([]);
  for (const name of services) {
    const threshold = String(THRESHOLDS[name] ?? THRESHOLD);
    const options = { stdio: "pipe", timeout: 60_000 } as const;
    expect(() =>
      execFileSync(analyze, ["security", "--offline=true", `--threshold=${threshold}`, join(copy, name)], options),
    ).not.toThrow();
  }
});

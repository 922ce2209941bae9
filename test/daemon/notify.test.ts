import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createNotifier } from "../../scanner-daemon/notify.ts";
import { newSeed } from "../../src/bus/keys.node.ts";
import { freePort } from "../../src/local/ports.ts";
import { ROOT } from "../../src/local/tools.ts";
import { until } from "../bus/until.ts";

let dir = "";
/** Stands for systemd-notify and writes down what it was to say. */
let program = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-notify-"));
  program = join(dir, "systemd-notify");
  writeFileSync(program, `#!/bin/sh\nprintf '%s %s\\n' "$NOTIFY_SOCKET" "$*" >> ${dir}/said\n`);
  chmodSync(program, 0o755);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const said = (): string => (existsSync(join(dir, "said")) ? readFileSync(join(dir, "said"), "utf8") : "");
const unexpected = (text: string): never => {
  throw new Error(text);
};

test("ready, status and stopping reach the service manager, and the watchdog is fed until then", async () => {
  const env = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "100000", PATH: process.env["PATH"] };
  const notifier = createNotifier({ env, program, onProblem: unexpected });
  notifier.ready("waiting");
  await until("two signs of life", () => said().split("WATCHDOG=1").length > 2);
  notifier.status("at\nwork");
  notifier.status("at\nwork");
  notifier.stopping();
  await until("stopping", () => said().includes("STOPPING=1"));
  expect(said()).toContain("/run/notify READY=1 STATUS=waiting\n");
  expect(said().match(/STATUS=atwork/g)).toHaveLength(1);
});

test("without a service manager nothing is started", () => {
  const notifier = createNotifier({ env: { WATCHDOG_USEC: "1000" }, program: join(dir, "none"), onProblem: unexpected });
  notifier.ready("x");
  notifier.status("y");
  notifier.stopping();
  expect(said()).toBe("");
});

test("a service manager that cannot be told is complained of once, and the daemon goes on", async () => {
  const problems: string[] = [];
  const notifier = createNotifier({
    env: { NOTIFY_SOCKET: "/run/notify", PATH: "/nowhere" },
    program: "no-such-program",
    onProblem: (text) => problems.push(text),
  });
  notifier.ready("x");
  await until("a complaint", () => problems.length > 0);
  notifier.stopping();
  notifier.status("y");
  expect(problems).toEqual([expect.stringContaining("no-such-program")]);
});

test("the daemon itself says that it is ready before NATS is there, and that it stops", async () => {
  const config = join(dir, "scanner.json");
  const file = {
    region: "eu",
    dataDir: join(dir, "data"),
    roles: ["scanner"],
    nats: { url: `nats://127.0.0.1:${await freePort()}` },
    keySeed: newSeed(),
    keeperPublicKeys: [`U${"B".repeat(55)}`],
    scanner: { name: "s1" },
  };
  writeFileSync(config, JSON.stringify(file), { mode: 0o600 });
  const env = { PATH: `${dir}:${process.env["PATH"] ?? ""}`, NOTIFY_SOCKET: "/run/notify" };
  const child = spawn(process.execPath, [join(ROOT, "scanner-daemon/main.ts"), "--config", config], { env, stdio: "ignore" });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  try {
    await until("ready", () => said().includes("READY=1"));
    child.kill("SIGTERM");
    expect(await ended).toBe(0);
    await until("stopping", () => said().includes("STOPPING=1"));
  } finally {
    child.kill("SIGKILL");
  }
});

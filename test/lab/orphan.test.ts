import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import type { Launch } from "../../scanner-daemon/scanner/launch.ts";
import { masscanArgv, masscanRunFiles } from "../../src/core/masscan/argv.ts";
import { tileAt } from "../../src/core/tile.ts";
import type { Lab } from "../../src/local/lab/lab.ts";
import { until } from "../bus/until.ts";
import { labTest, SMALL } from "./lab-test.ts";
import { assignmentOf, jobOf } from "./specs.ts";

type Started = { readonly kill9: () => Promise<void>; readonly goOn: () => Promise<void>; readonly masscanIsGone: () => boolean };

/** A process that starts masscan as the daemon does. masscan is held up, between its fork and its request for the parent-death signal, until `goOn`. */
async function startHeldUp(lab: Lab, folder: string): Promise<Started> {
  const [place] = lab.scanners;
  if (place === undefined) throw new Error("a lab without scanners");
  const setpriv = join(folder, "setpriv");
  const [pidFile, goFile, rangesFile] = [join(folder, "pid"), join(folder, "go"), join(folder, "ranges")];
  const wait = `n=0; while [ ! -e '${goFile}' ] && [ $n -lt 2400 ]; do n=$((n + 1)); sleep 0.05; done`;
  const hold = `echo $$ > '${pidFile}.new'; mv '${pidFile}.new' '${pidFile}'; ${wait}; exec setpriv "$@"`;
  await writeFile(setpriv, `#!/bin/sh\n${hold}\n`, { mode: 0o755 });
  const spec = jobOf({ include: ["198.18.0.0/24"], ports: lab.ports.join(), scanners: 1, pairsMax: null, rateLimitPps: 500, seed: "7" });
  const task = assignmentOf(spec, tileAt(spec, 0), 1);
  await writeFile(rangesFile, masscanRunFiles(task).ranges);
  const how: Launch = { launcher: place.launcher, tools: { masscan: "masscan", ethtool: "ethtool", stdbuf: "stdbuf", setpriv } };
  const argv = ["stdbuf", "-oL", "masscan", ...masscanArgv(task, { rangesFile, adapter: place.adapter ?? {} })];
  const launcher = new URL("../../scanner-daemon/scanner/launch.ts", import.meta.url).href;
  const program = `import(${JSON.stringify(launcher)}).then(({ launch }) => launch(...${JSON.stringify([how, argv, { cwd: folder }])}));`;
  const parent = spawn(process.execPath, ["-e", program], { stdio: "ignore" });
  const ended = once(parent, "exit");
  await until("masscan is being started", () => existsSync(pidFile));
  const pid = readFileSync(pidFile, "utf8").trim();
  return {
    kill9: async () => {
      parent.kill("SIGKILL");
      await ended;
    },
    goOn: () => writeFile(goFile, ""),
    masscanIsGone: () => !existsSync(`/proc/${pid}`),
  };
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "portolan-orphan-"));
  try {
    await body(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe("masscan whose daemon is killed with SIGKILL", () => {
  labTest("ends before it has sent a packet, when it was just being started", SMALL, (lab) =>
    withFolder(async (folder) => {
      await lab.startSeen();
      const started = await startHeldUp(lab, folder);
      await started.kill9();
      // Nobody will send it the parent-death signal any more, but its first word finds nobody who reads it.
      await started.goOn();
      await until("masscan is gone", started.masscanIsGone);
      expect((await lab.readSeen()).packets.size).toBe(0);
    }),
  );

  labTest("ends at once, when it was sending", SMALL, (lab) =>
    withFolder(async (folder) => {
      await lab.startSeen();
      const started = await startHeldUp(lab, folder);
      await started.goOn();
      await until("it sends", async () => (await lab.readSeen()).packets.size > 0);
      await started.kill9();
      await until("masscan is gone", started.masscanIsGone);
      expect((await lab.readSeen()).packets.size).toBeLessThan(256 * lab.ports.length);
    }),
  );
});

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import type { Report } from "../../../src/core/messages/report.ts";
import { assignment, fakeTools, ownDirectory, until } from "./world.ts";

type Said = { readonly report?: Report };

test("on a full disk the run becomes partial and names the remedy; what was spooled before is sent all the same", async (context) => {
  // A small disk is a mount, which needs the same rights as the lab.
  if (process.env["PORTOLAN_NO_LAB"] === "1") return context.skip("not run: PORTOLAN_NO_LAB=1");
  const directory = await ownDirectory();
  const disk = join(directory, "disk");
  await mkdir(disk);
  const how = await fakeTools(directory, { masscan: { sightings: 65_000 } });
  const file = fileURLToPath(new URL("./crash-child.ts", import.meta.url));
  const mounted = 'mount -t tmpfs -o size=3m none "$1" && exec "$0" "$2" "$1" "$3" "$4"';
  const argv = ["-m", "sh", "-c", mounted, process.execPath, disk, file, JSON.stringify(assignment()), JSON.stringify(how)];
  const child = spawn("unshare", argv, { stdio: ["ignore", "pipe", "ignore"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const said: Said[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => void said.push(JSON.parse(line) as Said));
  await until("the report", () => said.some(({ report }) => report !== undefined));
  const report = said.find((one) => one.report !== undefined)?.report;
  expect(report?.outcome.kind === "partial" && report.outcome.reasons[0]).toMatch(/^the disk that holds .* is full; free some space/);
  expect(report?.sightings).toBeGreaterThan(20_000);
  expect(report?.sightings).toBeLessThan(65_000);
});

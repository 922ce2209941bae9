import { describe, expect, test } from "vitest";
import { checkReady, readinessText, type ReadyInput } from "../../../scanner-daemon/scanner/ready.ts";
import { fakeTools, ownDirectory, type Fakes } from "./world.ts";

async function input(fakes: Fakes, change: Partial<ReadyInput> = {}): Promise<ReadyInput> {
  const directory = await ownDirectory();
  return {
    how: await fakeTools(directory, fakes),
    adapter: {},
    labMode: false,
    dataDir: directory,
    diskFreeBytesMin: 1,
    reserve: () => Promise.resolve(true),
    spoolBytes: () => 0,
    spoolBytesMax: 1_000_000,
    ...change,
  };
}

describe("readiness", () => {
  test("with everything in place both engines are offered and nothing is said", async () => {
    const readiness = await checkReady(await input({}));
    expect(readiness).toEqual({ engines: ["masscan", "connect"], masscanVersion: "1.3.2", masscanProblems: [], problems: [] });
    expect(readinessText(readiness)).toBe(null);
  });

  const masscanOnly: [string, Fakes, RegExp][] = [
    [
      "offloads are on",
      { ethtool: "generic-receive-offload: on\ntcp-segmentation-offload: on" },
      /run as root: ethtool -K fake0 gro off tso off/,
    ],
    ["it has no raw sockets", { prober: { view: { rawSockets: false } } }, /CAP_NET_RAW/],
    ["an ambient configuration is visible", { prober: { view: { ambientConfig: true } } }, /remove it/],
    ["there is no default route", { prober: { view: { interface: null } } }, /add a route, or set scanner\.adapter\.interface/],
    ["the version is not tested", { masscan: { version: "2.0.0" } }, /install one of 1\.3\.x/],
  ];
  test.each(masscanOnly)("when %s only connect is offered, and the remedy is named", async (_name, fakes, remedy) => {
    const readiness = await checkReady(await input(fakes));
    expect(readiness.engines).toEqual(["connect"]);
    expect(readinessText(readiness)).toMatch(remedy);
  });

  test("a missing masscan leaves connect, and says how to install it", async () => {
    const { how, ...rest } = await input({});
    const readiness = await checkReady({ ...rest, how: { ...how, tools: { ...how.tools, masscan: "/nonexistent/masscan" } } });
    expect(readiness.engines).toEqual(["connect"]);
    expect(readinessText(readiness)).toMatch(/apt-get install masscan/);
  });

  test("the launcher is part of the remedy for offloads", async () => {
    const { how, ...rest } = await input({ ethtool: "generic-receive-offload: on" });
    const readiness = await checkReady({ ...rest, how: { ...how, launcher: ["env"] } });
    expect(readinessText(readiness)).toContain("run as root: env ethtool -K fake0 gro off");
  });

  test("no engine is offered on a full disk, with a full spool, or with a launcher that does not start", async () => {
    const full = await checkReady(await input({}, { reserve: () => Promise.resolve(false) }));
    expect([full.engines, readinessText(full)]).toEqual([[], expect.stringMatching(/free at least/)]);
    const little = await checkReady(await input({}, { diskFreeBytesMin: Number.MAX_SAFE_INTEGER }));
    expect([little.engines, readinessText(little)]).toEqual([[], expect.stringMatching(/MiB free; free at least/)]);
    const spool = await checkReady(await input({}, { spoolBytes: () => 2_000_000 }));
    expect([spool.engines, readinessText(spool)]).toEqual([[], expect.stringMatching(/wait for the keeper/)]);
    const { how, ...rest } = await input({});
    const lost = await checkReady({ ...rest, how: { ...how, launcher: ["/nonexistent/launcher"] } });
    expect([lost.engines, readinessText(lost)]).toEqual([[], expect.stringMatching(/check the scanner's launcher/)]);
  });

  test("in lab mode the host's own network is refused", async () => {
    const { how, ...rest } = await input({}, { labMode: true });
    const tools = { ...how.tools, node: undefined };
    const own = await checkReady({ ...rest, how: { ...how, tools } });
    expect([own.engines, readinessText(own)]).toEqual([[], expect.stringMatching(/lab mode is on/)]);
    expect((await checkReady({ ...rest, how })).engines).toEqual(["masscan", "connect"]);
  });
});

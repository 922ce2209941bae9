import { createServer, type AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { publicKeyOf, signText } from "../../../src/bus/keys.node.ts";
import { cancelSubject } from "../../../src/bus/names.ts";
import type { DeniedList } from "../../../src/core/messages/bus.ts";
import type { ConfirmOrder, ConfirmReply } from "../../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../../src/core/statement.ts";
import { keeperSeed, makeRegion, type Region } from "./region.ts";
import { assignment, fakeTools, ownDirectory, realTools, until } from "./world.ts";

/** masscan that finds something and never ends by itself. */
const never = { masscan: { end: "never", rows: 100 } };

function tell(region: Region, denied: DeniedList["denied"], statedAtMs = Date.now()): void {
  region.bus.publish(cancelSubject("s1"), Buffer.from(JSON.stringify({ denied, statedAtMs })));
}

const reasonsOf = (region: Region): string[] =>
  region.reports.flatMap(({ report }) => (report.outcome.kind === "partial" ? report.outcome.reasons : []));
const whole = (...ranges: string[]): DeniedList["denied"] => [{ ranges, ports: null }];

describe("what is denied, at the scanner", () => {
  test("a running assignment that holds it stops at once and is partial; one beside it goes on", async () => {
    const region = await makeRegion();
    await region.put(assignment());
    await region.scanner(await ownDirectory(), await fakeTools(await ownDirectory(), never), { heartbeatMs: 20 }).start();
    await until("it runs", () => region.heartbeats.some(({ running }) => running !== null));
    tell(region, [{ ranges: ["198.18.0.9"], ports: "443" }, ...whole("198.19.0.0/16")]);
    const seen = region.heartbeats.length;
    await until("some more heartbeats", () => region.heartbeats.length > seen + 3);
    expect(region.reports).toEqual([]);
    // An older list that comes late changes nothing.
    tell(region, whole("198.18.7.7"), 1);
    tell(region, whole("198.18.7.8"), Date.now() + 1_000);
    await until("the report", () => region.reports.length === 1);
    expect(reasonsOf(region)).toEqual(expect.arrayContaining(["198.18.7.8 is denied"]) as string[]);
  });

  test("an assignment that holds it, or has it as its canary, is declined; so it is after a restart", async () => {
    const region = await makeRegion();
    const dataDir = await ownDirectory();
    const how = await fakeTools(await ownDirectory(), never);
    const first = region.scanner(dataDir, how);
    await first.start();
    await until("a heartbeat", () => region.heartbeats.length > 0);
    tell(region, whole("198.18.0.0/24"));
    await region.put(assignment());
    await until("the first report", () => region.reports.length === 1);
    expect(region.reports[0]?.report).toMatchObject({
      evidence: null,
      sightings: 0,
      outcome: { kind: "partial", reasons: ["198.18.0.0/24 is denied"] },
    });
    await first.stop();
    const canaries = [{ address: "198.18.0.200", port: 80 }];
    await region.put(assignment({ key: { ...assignment().key, tile: 1 }, ranges: ["198.18.9.0/24"], pairs: 256, canaries }));
    await region.scanner(dataDir, how).start();
    await until("the second report", () => region.reports.length === 2);
    expect(reasonsOf(region)).toContain("198.18.0.200 port 80 is denied");
  });

  test("a tile that is cancelled stops; another tile of the job does not", async () => {
    const region = await makeRegion();
    await region.put(assignment());
    await region.scanner(await ownDirectory(), await fakeTools(await ownDirectory(), never), { heartbeatMs: 20 }).start();
    await until("it runs", () => region.heartbeats.some(({ running }) => running !== null));
    const { job } = assignment().key;
    const cancel = (tile: number): void =>
      region.bus.publish(cancelSubject("s1"), Buffer.from(JSON.stringify({ job, tile, reason: `tile ${tile}` })));
    cancel(1);
    const seen = region.heartbeats.length;
    await until("some more heartbeats", () => region.heartbeats.length > seen + 3);
    expect(region.reports).toEqual([]);
    cancel(0);
    await until("the report", () => region.reports.length === 1);
    expect(reasonsOf(region)).toContain("cancelled: tile 0");
  });

  test("a confirm order that names it is refused, and one in hand is broken off without a probe", async () => {
    const region = await makeRegion();
    await region.scanner(await ownDirectory(), realTools, { lookEveryMs: 600_000 }).start();
    await until("a heartbeat", () => region.heartbeats.length > 0);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    onTestFinished(() => void server.close());
    const order = (address: string, canaries?: ConfirmOrder["canaries"]): ConfirmOrder => {
      const unsigned = {
        version: 1 as const,
        id: crypto.randomUUID().replaceAll("-", ""),
        region: "eu",
        job: "a".repeat(64),
        scanner: "s1",
        basis: "sighter" as const,
        engine: "connect" as const,
        frontier: { ["0".repeat(32)]: 3 },
        targets: [{ address, protocol: "tcp" as const, port }],
        ...(canaries === undefined ? {} : { canaries }),
        orderedAtMs: Date.now(),
        keeper: publicKeyOf(keeperSeed),
      };
      return { ...unsigned, signature: signText(keeperSeed, confirmOrderSignedText(unsigned)) };
    };
    const give = async (one: ConfirmOrder): Promise<ConfirmReply> => {
      const reply = await region.bus.request("scan.eu.s1", Buffer.from(JSON.stringify({ order: one })), { timeoutMs: 30_000 });
      return JSON.parse(Buffer.from(reply).toString()) as ConfirmReply;
    };
    expect(await give(order("127.0.0.1"))).toEqual({ ok: true });
    tell(region, whole("127.0.0.1"));
    // The place that the order had is free again, and the answer to another names the reason.
    await until("the refusal", async () => (await give(order("127.0.0.1"))).ok === false);
    expect(await give(order("127.0.0.2", [{ address: "127.0.0.1", port: 1 }]))).toMatchObject({
      ok: false,
      problem: "127.0.0.1 port 1 is denied",
    });
    expect(region.probes).toEqual([]);
  });
});

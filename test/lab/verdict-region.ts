import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { sha256Hex, verifyText } from "../../src/bus/keys.node.ts";
import { checkCertificate } from "../../src/core/certificate/check.ts";
import { parseRange } from "../../src/core/range.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import type { Ledger, Service, ServiceState } from "../../src/ledger/types.ts";
import { type Api, openApi } from "../../src/local/demo/api.ts";
import { awaitScanners } from "../../src/local/demo/stage.ts";
import { runCommand } from "../../src/local/lab/command.ts";
import { createLab, type Lab, type LabSpec } from "../../src/local/lab/lab.ts";
import { uniqueLabName } from "../../src/local/lab/probe.ts";
import { pairKey } from "../../src/local/lab/truth.ts";
import { type Region, startRegion } from "../../src/local/region.ts";
import { testWithLabs } from "./lab-test.ts";

/** What a test varies in a plan. */
export type PlanWish = {
  readonly name: string;
  readonly ranges: readonly string[];
  readonly ports: readonly number[] | string;
  readonly group: string;
  readonly engine?: "masscan" | "connect";
  readonly closeAfter?: number;
  readonly confirm?: boolean;
  readonly canaries?: readonly { readonly address: string; readonly port: number }[];
  readonly rateLimitPps?: number;
};

/** A lab with a whole region on it: real masscan, real daemons, one scanner for each of the lab's. */
export type LabRegion = {
  readonly lab: Lab;
  readonly region: Region;
  readonly api: Api;
  /** For reading; what writes goes through the keeper. */
  readonly ledger: Ledger;
  /** nft statements inside the target namespace. */
  readonly nft: (text: string) => Promise<void>;
  readonly addPlan: (wish: PlanWish) => Promise<void>;
  readonly addGroup: (name: string, scanners: readonly string[]) => Promise<void>;
  /** Starts a job and waits for its end, which has to be complete. Returns its id. */
  readonly runJob: (plan: string) => Promise<string>;
  readonly services: (range?: string) => Promise<Service[]>;
  /** Keys (as `pairKey` writes them) of the services in these states, sorted. */
  readonly keysIn: (states: readonly ServiceState[], range?: string) => Promise<string[]>;
  /** Why the service is what it is: the certificate's verdict and what its independent checker finds wrong. */
  readonly checkOf: (service: Service) => Promise<{ readonly verdict: string; readonly problems: readonly string[] }>;
};

const JOB_MS_MAX = 120_000;
const LOOK_EVERY_MS = 150;

/** Reads until `holds`, or throws with what was read last. */
export async function awaitThat<Value>(
  what: string,
  read: () => Promise<Value>,
  holds: (value: Value) => boolean,
  timeoutMs = 60_000,
): Promise<Value> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > deadlineMs)
      throw new Error(`${what} did not come within ${timeoutMs / 1_000} s; last: ${JSON.stringify(value).slice(0, 1_000)}`);
    await pause(LOOK_EVERY_MS);
  }
}

async function allServices(ledger: Ledger, range: string | undefined): Promise<Service[]> {
  const found: Service[] = [];
  let cursor: string | null = null;
  do {
    const query = { state: "all", known: "show", limit: 1_000, ...(range === undefined ? {} : { range: parseRange(range) }) } as const;
    const page: Awaited<ReturnType<Ledger["listServices"]>> = await ledger.listServices(cursor === null ? query : { ...query, cursor });
    found.push(...page.items);
    cursor = page.next;
  } while (cursor !== null);
  return found;
}

function controls(lab: Lab, region: Region): LabRegion {
  const api = openApi(region.apiUrl, region.adminToken);
  const ledger = openLedger({ url: region.ledgerUrl, region: region.name });
  return {
    lab,
    region,
    api,
    ledger,
    nft: async (text) => void (await runCommand(["ip", "netns", "exec", `${lab.name}-tgt`, "nft", "-f", "-"], text)),
    addGroup: async (name, scanners) => void (await api.post("/v1/groups", { name, members: scanners.map((scanner) => ({ scanner })) })),
    addPlan: async ({ ports, ...wish }) => {
      const defaults = { engine: "masscan", closeAfter: 1, confirm: false, canaries: [], rateLimitPps: 4_000 };
      await api.post("/v1/plans", { ...defaults, ...wish, ports: typeof ports === "string" ? ports : ports.join() });
    },
    runJob: async (plan) => {
      const id = await api.startJob(plan);
      const job = await awaitThat(
        `the end of job ${id} of plan ${plan}`,
        () => api.job(id),
        ({ state }) => state !== "running",
        JOB_MS_MAX,
      );
      if (job.state !== "complete") throw new Error(`job ${id} of plan ${plan} ended ${job.state}: ${job.why ?? ""}`);
      return id;
    },
    services: (range) => allServices(ledger, range),
    keysIn: async (states, range) =>
      (await allServices(ledger, range))
        .filter(({ state }) => states.includes(state))
        .map(pairKey)
        .toSorted(),
    checkOf: async (service) => {
      const certificate = await ledger.why(service);
      const result = checkCertificate(certificate, { sha256: sha256Hex, verify: verifyText });
      return { verdict: certificate?.verdict ?? "none", problems: result.ok ? [] : result.problems };
    },
  };
}

/** Starts a region whose scanners s1, s2 … live in the lab, and ends everything after `body`. */
export async function withLabRegion<Result>(spec: Omit<LabSpec, "name">, body: (world: LabRegion) => Promise<Result>): Promise<Result> {
  const dir = await mkdtemp(join(tmpdir(), "portolan-verdict-"));
  const lab = await createLab({ ...spec, name: uniqueLabName("v") });
  try {
    const region = await startRegion({
      dir,
      region: "lab",
      scanners: lab.scanners.map(({ launcher, adapter }, i) => ({
        name: `s${i + 1}`,
        addresses: [adapter?.ipv4 ?? "198.19.255.1"],
        launcher: [...launcher],
        labMode: true,
        ...(adapter === null ? {} : { adapter }),
      })),
      keeper: { tickMs: 100, waitS: 1, connectTimeoutMs: 400 },
    });
    const world = controls(lab, region);
    try {
      await awaitScanners(world.api, "masscan");
      return await body(world);
    } finally {
      world.ledger.close();
      await region.stop();
    }
  } finally {
    await lab.destroy();
    await rm(dir, { recursive: true, force: true });
  }
}

/** A test with a lab and a region of its own; otherwise as `testWithLabs`. */
export function regionTest(
  name: string,
  spec: Omit<LabSpec, "name">,
  body: (world: LabRegion) => Promise<void>,
  timeoutMs = 120_000,
): void {
  testWithLabs(name, () => withLabRegion(spec, body), timeoutMs);
}

import { setTimeout as delay } from "node:timers/promises";
import { type Api, openApi } from "../../src/local/demo/api.ts";
import type { Playground } from "../../src/local/lab/playground.ts";
import { choose, openKeys, pairKey, pairOf, xorshift32 } from "../../src/local/lab/truth.ts";
import { type Region, startRegion } from "../../src/local/region.ts";
import { killEngine } from "./engine-process.ts";
import { openLog, type RecordLog } from "./record-log.ts";

/** One campaign: jobs run one after the other while parts of the region are killed at random points. */
export type KillOptions = {
  readonly seed: number;
  readonly count: number;
  readonly engine: "connect" | "masscan";
  readonly dir: string;
  readonly playground: Playground;
  /** Shape of the jobs: about ten seconds each, so that kills land in the middle. */
  readonly plan: { readonly rateLimitPps: number; readonly pairsMax: number };
  /** Pairs closed for real after half of the kills. */
  readonly closing: number;
  /** Which parts to kill, evenly drawn; all by default. */
  readonly victims?: readonly Victim[];
  readonly say: (line: string) => void;
};

/** What a campaign found out. The promise holds when `lost`, `closedWrongly`, `incomplete` and `wrongAtEnd` are empty. */
export type KillResult = {
  readonly seed: number;
  readonly kills: Readonly<Record<string, number>>;
  readonly jobs: number;
  /** Records that an earlier look had seen and a later one did not, or at another place. */
  readonly lost: readonly string[];
  /** Services shown closed at any look although they were open. */
  readonly closedWrongly: readonly string[];
  readonly incomplete: readonly string[];
  /** Difference of the register and the truth after two jobs without kills. */
  readonly wrongAtEnd: readonly string[];
  /** Why runs were partial although no kill explains it, and how often: a hint at what to look into, not a broken promise. */
  readonly unexplained: readonly string[];
  readonly records: number;
  readonly seconds: number;
};

export const VICTIMS = ["engine", "scanner-s1", "engine", "scanner-s2", "keeper", "nats", "ledger", "registry"] as const;
export type Victim = (typeof VICTIMS)[number];
/** What is said of a run whose program, prober or scanner was killed. */
const EXPLAINED =
  /ended before its scanner could tell how|SIGKILL|exited with (?:no code|code 137)|the prober (?:ended|did not end|failed)/;
const SLOW_PLANS = ["slow-a", "slow-b"];
const PAUSE_MS_MAX = 1_500;
const UP_MS_MAX = 120_000;
const JOB_MS_MAX = 240_000;

/** Runs one campaign on a region of its own, which is stopped at the end. */
export async function runKills(options: KillOptions): Promise<KillResult> {
  const { playground } = options;
  const region = await startRegion({
    dir: options.dir,
    region: "eu",
    scanners: playground.scanners.map(({ launcher, adapter }, i) => ({
      name: `s${i + 1}`,
      addresses: adapter === null ? [`127.0.0.${i + 1}`] : [adapter.ipv4, adapter.ipv6],
      launcher: [...launcher],
      ...(adapter === null ? {} : { adapter, labMode: true }),
    })),
    keeper: { tickMs: 100, waitS: 1 },
  });
  const log = openLog(region.ledgerUrl);
  try {
    return await new Campaign(options, region, log).run();
  } finally {
    log.close();
    await region.stop();
  }
}

class Campaign {
  readonly #options: KillOptions;
  readonly #region: Region;
  readonly #api: Api;
  readonly #log: RecordLog;
  readonly #next: () => number;
  readonly #kills: Record<string, number> = {};
  readonly #lost: string[] = [];
  readonly #closedWrongly = new Set<string>();
  readonly #incomplete: string[] = [];
  #jobs = 0;
  /** Job by plan. */
  readonly #running = new Map<string, string>();

  constructor(options: KillOptions, region: Region, log: RecordLog) {
    this.#options = options;
    this.#region = region;
    this.#log = log;
    this.#api = openApi(region.apiUrl, region.adminToken);
    this.#next = xorshift32(options.seed);
  }

  async run(): Promise<KillResult> {
    const startedMs = performance.now();
    const { count, closing, playground, seed } = this.#options;
    await this.#addPlans();
    for (let kill = 0; kill < count; kill += 1) {
      if (kill === Math.floor(count / 2)) await playground.close(choose([...openKeys(playground.truth)], closing, this.#next).map(pairOf));
      await this.#keepJobsRunning();
      await delay(this.#next() % PAUSE_MS_MAX);
      await this.#kill(kill);
      await this.#everythingUp();
      await this.#look();
    }
    for (const plan of SLOW_PLANS) await this.#jobEnds(plan);
    const wrongAtEnd = await this.#settle();
    const results = { lost: this.#lost, closedWrongly: [...this.#closedWrongly], incomplete: this.#incomplete, wrongAtEnd };
    const partial = [...(await this.#log.partialReasons())].filter(([reason]) => !EXPLAINED.test(reason));
    const unexplained = partial.map(([reason, times]) => `${times} × ${reason}`);
    const seconds = Math.round((performance.now() - startedMs) / 1_000);
    return { seed, kills: this.#kills, jobs: this.#jobs, ...results, unexplained, records: await this.#log.count(), seconds };
  }

  async #addPlans(): Promise<void> {
    const { playground, engine, plan } = this.#options;
    // One complete look closes at once: so a tile that counts without having been scanned whole shows itself.
    const common = { ranges: playground.ranges, ports: playground.ports.join(), engine, closeAfter: 1, confirm: false };
    for (const name of SLOW_PLANS) await this.#api.post("/v1/plans", { ...common, name, ...plan });
    await this.#api.post("/v1/plans", { ...common, name: "quick", rateLimitPps: plan.rateLimitPps * 4 });
  }

  /** Two jobs at a time over the same targets, so that one is in its middle while the other's last shards wait for an attempt. */
  async #keepJobsRunning(): Promise<void> {
    for (const plan of SLOW_PLANS) {
      const job = this.#running.get(plan);
      if (job !== undefined && (await this.#api.job(job)).state === "running") continue;
      await this.#jobEnds(plan);
      await this.#startJob(plan);
    }
  }

  async #startJob(plan: string): Promise<void> {
    this.#running.set(plan, await this.#api.startJob(plan));
    this.#jobs += 1;
  }

  /** Waits for the end of a plan's job and notes when it did not become complete. */
  async #jobEnds(plan: string): Promise<void> {
    const id = this.#running.get(plan);
    if (id === undefined) return;
    const deadlineMs = performance.now() + JOB_MS_MAX;
    let job = await this.#api.job(id);
    while (job.state === "running" && performance.now() < deadlineMs) {
      await delay(100);
      job = await this.#api.job(id);
    }
    if (job.state !== "complete") this.#incomplete.push(await this.#describe(id, `${job.state}: ${job.why ?? "it takes too long"}`));
    this.#running.delete(plan);
  }

  async #describe(job: string, why: string): Promise<string> {
    const open = (await this.#api.shards(job)).filter((shard) => shard.state !== "complete");
    return `${job} ${why}; ${open.map((shard) => `${shard.tile}.${shard.shard} ${shard.scanner} ${shard.state} (${shard.problem ?? "no problem"})`).join(", ")}`;
  }

  async #kill(kill: number): Promise<void> {
    const { say, victims = VICTIMS } = this.#options;
    const drawn = victims[this.#next() % victims.length] ?? "engine";
    const killed = drawn === "engine" ? await this.#killEngine() : null;
    const name = killed ?? (drawn === "engine" ? "keeper" : drawn);
    if (killed === null) await this.#region.child(name).kill9();
    this.#kills[name] = (this.#kills[name] ?? 0) + 1;
    say(`kill ${kill + 1}/${this.#options.count}: ${name}`);
  }

  /** Kills the masscan or prober that runs; null when none came within seconds, as while a failed shard waits for its next attempt. */
  async #killEngine(): Promise<string | null> {
    const scanners = this.#region.children.filter((child) => child.name.startsWith("scanner-"));
    const pids = scanners.flatMap((child) => (child.pid === null ? [] : [child.pid]));
    const program = this.#options.engine === "masscan" ? "masscan" : "prober";
    return (await killEngine(program, pids, 5_000)) ? program : null;
  }

  async #everythingUp(): Promise<void> {
    for (const child of this.#region.children) await child.ready(UP_MS_MAX);
  }

  /** What has been accepted stays; what listens is not closed. */
  async #look(): Promise<void> {
    this.#lost.push(...(await this.#log.compare()));
    const { truth } = this.#options.playground;
    for (const service of await this.#api.services()) {
      if (service.state === "closed" && truth.get(pairKey(service)) === "open") this.#closedWrongly.add(pairKey(service));
    }
  }

  /** Two jobs without kills, then the register against the truth. */
  async #settle(): Promise<string[]> {
    for (let round = 0; round < 2; round += 1) {
      await this.#startJob("quick");
      await this.#jobEnds("quick");
    }
    const deadlineMs = performance.now() + 60_000;
    let wrong = await this.#differences();
    while (wrong.length > 0 && performance.now() < deadlineMs) {
      await delay(100);
      wrong = await this.#differences();
    }
    await this.#look();
    return wrong;
  }

  async #differences(): Promise<string[]> {
    const open = openKeys(this.#options.playground.truth);
    const services = await this.#api.services();
    const known = new Set(services.map(pairKey));
    const wrong = services.filter((service) => (service.state === "open") !== open.has(pairKey(service)) || service.state === "missing");
    return [
      ...[...open].filter((key) => !known.has(key)).map((key) => `not found: ${key}`),
      ...wrong.map((service) => `${service.state}: ${pairKey(service)}`),
    ];
  }
}

import { setTimeout as delay } from "node:timers/promises";
import type { RegionName } from "./faults-draw.ts";
import { ownPlan, SHARED_PLAN, type World } from "./faults-world.ts";

const ASK_MS_MAX = 10_000;
const JOB_MS_MAX = 180_000;

/** Jobs of the campaign's plans. */
export class Jobs {
  readonly #world: World;
  readonly #started = new Set<string>();

  constructor(world: World) {
    this.#world = world;
  }

  get count(): number {
    return this.#started.size;
  }

  /** A job of each plan that has none at the moment, as far as its home takes orders. */
  async start(homes: readonly RegionName[]): Promise<void> {
    const plans = homes.flatMap((home) => [[home, ownPlan(home)] as const, ...(home === "eu" ? [[home, SHARED_PLAN] as const] : [])]);
    await Promise.all(plans.map(([home, plan]) => this.#startOne(home, plan).catch(() => undefined)));
  }

  /** One job of the plan that all scanners share, from its beginning to its end; false when it does not come to that. */
  async runShared(): Promise<boolean> {
    const api = this.#world.api("eu");
    const deadlineMs = performance.now() + JOB_MS_MAX;
    let job: string | null = null;
    while (performance.now() < deadlineMs) {
      job ??= await api.startJob(SHARED_PLAN).catch(() => null);
      if (job !== null && (await api.job(job)).state !== "running") break;
      await delay(100);
    }
    if (job === null) return false;
    this.#started.add(job);
    return (await api.job(job)).state === "complete";
  }

  async #startOne(home: RegionName, plan: string): Promise<void> {
    const { regions } = this.#world;
    const response = await fetch(`${regions.region(home).apiUrl}/v1/plans/${plan}/jobs`, {
      method: "POST",
      headers: { authorization: `Bearer ${regions.adminToken}`, "content-type": "application/json" },
      body: "{}",
      signal: AbortSignal.timeout(ASK_MS_MAX),
    });
    const answer = (await response.json()) as { job?: unknown };
    if (response.ok && typeof answer.job === "string") this.#started.add(answer.job);
  }
}

import { cpSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, type Fault, type RegionName, touches } from "./faults-draw.ts";
import type { World } from "./faults-world.ts";

const UP_MS_MAX = 60_000;

/** Which children do not run as they should, or have done so again for a short time only. */
export class Disturbed {
  readonly #until = new Map<string, number>();
  readonly #graceMs: number;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  begin(region: RegionName, children: readonly string[]): void {
    for (const child of children) this.#until.set(`${region} ${child}`, Number.POSITIVE_INFINITY);
  }

  end(region: RegionName, children: readonly string[]): void {
    for (const child of children) this.#until.set(`${region} ${child}`, performance.now() + this.#graceMs);
  }

  /** Whether one of these was disturbed at any time since `sinceMs`. */
  any(region: RegionName, children: readonly string[], sinceMs: number): boolean {
    return children.some((child) => (this.#until.get(`${region} ${child}`) ?? 0) > sinceMs);
  }
}

/** What was prepared before a schedule's faults begin. */
export type Prepared = { readonly copies: ReadonlyMap<Fault, string> };

/** Copies the ledgers that will be rolled back, each in one moment of its life. */
export function prepare(world: World, faults: readonly Fault[]): Prepared {
  const copies = new Map<Fault, string>();
  for (const fault of faults) {
    if (fault.kind !== "roll back") continue;
    const region = world.regions.region(fault.region);
    const { pid } = region.child("ledger");
    if (pid === null) throw new Error(`the ledger of ${fault.region} does not run at the start of a schedule`);
    const copy = join(world.dir, `copy-${fault.region}`);
    rmSync(copy, { recursive: true, force: true });
    process.kill(pid, "SIGSTOP");
    try {
      cpSync(region.layout.ledger, copy, { recursive: true });
    } finally {
      process.kill(pid, "SIGCONT");
    }
    copies.set(fault, copy);
  }
  return { copies };
}

export type ApplyDeps = {
  readonly world: World;
  readonly prepared: Prepared;
  readonly disturbed: Disturbed;
  readonly say: (line: string) => void;
  /** A cut lasts until this, too. */
  readonly progress: Promise<unknown>;
};

/** Lets a fault happen in its time and heals it. Resolves when what it touched answers again. */
export async function apply(fault: Fault, deps: ApplyDeps): Promise<void> {
  await delay(fault.atMs);
  deps.say(`  ${describe(fault)}`);
  if (fault.kind === "cut") return cut(fault, deps);
  const { disturbed } = deps;
  disturbed.begin(fault.region, touches(fault));
  try {
    await hit(fault, deps);
  } finally {
    disturbed.end(fault.region, touches(fault));
  }
}

async function cut(fault: Extract<Fault, { kind: "cut" }>, { world, progress }: ApplyDeps): Promise<void> {
  const links = fault.ways.flatMap((way) => world.links(way));
  await Promise.all(links.map((link) => link.cut(fault.state)));
  await Promise.all([delay(fault.forMs), progress]);
  await Promise.all(links.map((link) => link.heal(fault.heal)));
}

async function hit(fault: Exclude<Fault, { kind: "cut" }>, { world, prepared }: ApplyDeps): Promise<void> {
  const region = world.regions.region(fault.region);
  const child = (name: string) => region.child(name);
  switch (fault.kind) {
    case "stop":
      return freeze(child(fault.child).pid, fault.forMs);
    case "kill": {
      await child(fault.child).kill9();
      return child(fault.child).ready(UP_MS_MAX);
    }
    case "wipe":
      await child("nats").stop();
      rmSync(join(region.layout.nats, "store"), { recursive: true, force: true });
      return child("nats").start();
    case "lose":
      return void (await world.regions.rebuild(fault.region));
    case "roll back": {
      if (fault.keeperToo) await child("keeper").stop();
      await child("ledger").kill9({ stayDown: true });
      rmSync(region.layout.ledger, { recursive: true });
      renameSync(prepared.copies.get(fault) ?? "", region.layout.ledger);
      await child("ledger").start();
      if (fault.keeperToo) await child("keeper").start();
      return;
    }
  }
}

async function freeze(pid: number | null, forMs: number): Promise<void> {
  if (pid === null) return;
  process.kill(pid, "SIGSTOP");
  try {
    await delay(forMs);
  } finally {
    process.kill(pid, "SIGCONT");
  }
}

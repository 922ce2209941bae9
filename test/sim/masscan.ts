import { formatAddress } from "../../src/core/address.ts";
import { parsePorts } from "../../src/core/port.ts";
import { parseRange } from "../../src/core/range.ts";
import type { Child } from "./child.ts";
import type { Lie } from "./place.ts";
import { type Spot, spotText } from "./truth.ts";

/** What masscan was told, in its own words. */
type Wish = {
  readonly ranges: readonly string[];
  readonly ports: string;
  readonly ratePps: number;
  readonly seed: string;
  readonly shard: number;
  readonly shards: number;
  readonly retries: number;
  readonly waitS: number;
};

const VERSION = "Masscan version 1.3.2 ( https://github.com/robertdavidgraham/masscan )\n";
const BATCHES = 4;

/** A masscan that probes the truth: same arguments, same output, same ways to end. */
export function masscanProgram(child: Child): void {
  if (child.argv.includes("--version")) {
    child.say(VERSION);
    child.exit(1);
    return;
  }
  const { place } = child.owner;
  const wish = readWish(child);
  if (child.argv.includes("--echo")) {
    // What it would do is decided here: a stubborn one stays so for the run that follows.
    child.owner.stubborn = place.isStubborn(child.simulation.random);
    if (child.owner.stubborn) child.simulation.count("masscan is stubborn");
    child.say(echoText(child.owner.stubborn ? { ...wish, ratePps: wish.ratePps + 1 } : wish));
    child.exit(0);
    return;
  }
  const told = child.owner.stubborn ? { ...wish, ratePps: wish.ratePps + 1 } : wish;
  new MasscanRun(child, told, place.nextLie(child.simulation.random)).start();
}

function readWish(child: Child): Wish {
  const value = (name: string): string => child.argv[child.argv.indexOf(name) + 1] ?? "";
  const [shard = "", shards = ""] = value("--shard").split("/");
  return {
    ranges: child.owner.disk.read(value("-iL")).toString("utf8").trim().split("\n"),
    ports: value("-p"),
    ratePps: Number(value("--rate")),
    seed: value("--seed"),
    shard: Number(shard),
    shards: Number(shards),
    retries: Number(value("--retries")),
    waitS: Number(value("--wait")),
  };
}

function echoText({ ranges, ports, ratePps, seed, shard, shards, retries }: Wish): string {
  const lines = [`seed = ${seed}`, `rate = ${ratePps}`, `shard = ${shard}/${shards}`, `ports = ${ports}`];
  if (retries > 0) lines.push(`retries = ${retries}`);
  return `${[...lines, ...ranges.map((range) => `range = ${range}`)].join("\n")}\n`;
}

/** Pairs of one shard: which one a pair belongs to follows from seed, rate, targets and the rest, as in masscan. */
export function shardSpots(wish: Omit<Wish, "waitS">): Spot[] {
  const ports = parsePorts(wish.ports).flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, offset) => first + offset),
  );
  const spots: Spot[] = [];
  for (const { first, last } of wish.ranges.map(parseRange)) {
    for (let address = first; address <= last; address += 1n)
      for (const port of ports) spots.push({ address: formatAddress(address), port });
  }
  const salt = `${wish.seed} ${wish.ratePps} ${wish.retries} ${wish.ports} ${wish.ranges.join(",")}`;
  const order = spots.map((spot) => ({ spot, key: hash(`${salt} ${spotText(spot)}`) })).toSorted((a, b) => a.key - b.key);
  return order.filter((_, index) => index % wish.shards === wish.shard - 1).map(({ spot }) => spot);
}

function hash(text: string): number {
  let value = 2_166_136_261;
  for (let at = 0; at < text.length; at += 1) value = Math.imul(value ^ text.charCodeAt(at), 16_777_619) >>> 0;
  return value;
}

class MasscanRun {
  readonly #child: Child;
  readonly #wish: Wish;
  readonly #lie: Lie | null;
  readonly #spots: readonly Spot[];
  readonly #lengthMs: number;
  #found = 0;
  /** No further answer is written. */
  #deaf = false;
  /** No further probe is sent. */
  #stopped = false;
  #percent = 0;

  constructor(child: Child, wish: Wish, lie: Lie | null) {
    this.#child = child;
    this.#wish = wish;
    this.#lie = lie;
    this.#spots = shardSpots(wish);
    this.#lengthMs = child.simulation.between(200, 3_000);
  }

  start(): void {
    const { simulation } = this.#child;
    const { random } = simulation;
    simulation.note(
      `${this.#child.owner.name}: masscan ${this.#wish.shard}/${this.#wish.shards} begins${this.#lie === null ? "" : `, ${this.#lie}`}`,
    );
    if (this.#lie !== null) simulation.count(`masscan is ${this.#lie}`);
    if (this.#lie === "failing") this.#child.warn("FAIL: failed to send\n");
    // A lie about the run comes true somewhere within it.
    const liesAt = random.below(BATCHES);
    for (let batch = 0; batch < BATCHES; batch += 1) {
      const atMs = (this.#lengthMs * batch) / BATCHES;
      this.#child.after(atMs, () => {
        if (this.#stopped) return;
        if (batch === liesAt && this.#endsEarly()) return;
        this.#probe(batch);
        this.#status((100 * (batch + 0.9)) / BATCHES);
      });
    }
    this.#child.after(this.#lengthMs, () => {
      if (!this.#stopped) this.#wait(this.#wish.waitS, 100);
    });
  }

  #endsEarly(): boolean {
    const child = this.#child;
    if (this.#lie === "interrupted" || this.#lie === "silent") {
      if (this.#lie === "interrupted") child.warn("waiting several seconds to exit...\nsaving resume file to: paused.conf\n");
      this.#stopped = true;
      if (child.simulation.random.chance(0.5)) child.exit(0);
      else this.#wait(this.#wish.waitS, this.#percent);
    } else if (this.#lie === "killed") {
      if (child.simulation.random.chance(0.5)) child.exit(null, "SIGKILL");
      else child.exit(139);
    } else if (this.#lie === "cut") {
      child.say('{"ip":"192.0.2.1","timest');
      this.#deaf = true;
      return false;
    } else return false;
    return true;
  }

  #probe(batch: number): void {
    const { simulation, owner } = this.#child;
    const { random } = simulation;
    const mine = this.#spots.filter((_, index) => index % BATCHES === batch);
    for (const spot of mine) {
      if (!owner.place.truth.isOpen(spot, simulation.nowMs)) continue;
      if ((this.#lie === "failing" || owner.place.offloadsSeen) && random.chance(0.5)) continue;
      if (this.#lie === "dropping" && random.chance(0.5)) {
        owner.place.drops += 10;
        continue;
      }
      // Late answers come during the wait, the latest a second before its end.
      const lateMs = random.chance(0.3) ? simulation.between(0, (this.#wish.waitS - 1) * 900) : simulation.between(0, 50);
      this.#child.after(lateMs, () => this.#answer(spot));
    }
  }

  #answer(spot: Spot): void {
    const { simulation, owner } = this.#child;
    if (owner.place.blind || this.#deaf) return;
    if (this.#lie === "garbled" && simulation.random.chance(0.5)) {
      this.#child.say('{"ip":"192.0.2.1","timestamp":"17000000\n');
      return;
    }
    const line = {
      ip: spot.address,
      timestamp: String(Math.floor(simulation.epochMs / 1_000)),
      port: spot.port,
      proto: "tcp",
      rec_type: "status",
      data: { status: "open", reason: "syn-ack", ttl: 64 },
    };
    this.#found += 1;
    for (let times = simulation.random.chance(0.15) ? 3 : 1; times > 0; times -= 1) this.#child.say(`${JSON.stringify(line)}\n`);
  }

  #status(percent: number): void {
    this.#percent = percent;
    this.#child.warn(`rate:  0.01-kpps, ${percent.toFixed(2)}% done,   0:00:05 remaining, found=${this.#found}\r`);
  }

  #wait(leftS: number, percent: number): void {
    const child = this.#child;
    const { random } = child.simulation;
    child.warn(`rate:  0.00-kpps, ${percent.toFixed(2)}% done, waiting ${leftS}-secs, found=${this.#found}\r`);
    if (leftS === this.#wish.waitS && this.#lie === "hasty") {
      child.after(child.simulation.between(0, 900), () => child.exit(0));
      return;
    }
    if (leftS > 0) child.after(1_000, () => this.#wait(leftS - 1, percent));
    else if (random.chance(child.owner.place.hangChance)) this.#hang(-1, percent);
    else child.after(1_000, () => child.exit(0));
  }

  /** It leaves only when a packet arrives; on a quiet link that is one that somebody draws. */
  #hang(leftS: number, percent: number): void {
    const child = this.#child;
    child.owner.onPoke = () => {
      if (child.simulation.random.chance(0.7)) child.after(1, () => child.exit(0));
    };
    child.warn(`rate:  0.00-kpps, ${percent.toFixed(2)}% done, waiting ${leftS}-secs, found=${this.#found}\r`);
    child.after(1_000, () => this.#hang(leftS - 1, percent));
  }
}

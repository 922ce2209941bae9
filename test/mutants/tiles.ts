import { masscanArgv } from "../../src/core/masscan/argv.ts";
import { connectShardPairs } from "../../src/core/masscan/outcome.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import { formatAddress } from "../../src/core/address.ts";
import { formatPorts } from "../../src/core/port.ts";
import { parseRange, rangesText } from "../../src/core/range.ts";
import { tilesOf } from "../../src/core/tile.ts";
import { connectPairs } from "../../scanner-daemon/scanner/connect-run.ts";
import { jobSpecOf } from "../ledger/builders.ts";
import { randomOf } from "../ledger/history.ts";
import { failureText, type Killer, must } from "./killer.ts";

const SPECS = 60;

/** Counted pair by pair: the tiles of a job hold each pair of its target set once, and the shards of a tile each of the tile's. */
export const tilesKiller: Killer = async () => {
  try {
    for (let seed = 1; seed <= SPECS; seed++) checkSpec(seed);
    return null;
  } catch (error) {
    return failureText(error);
  }
};

function checkSpec(seed: number): void {
  const random = randomOf(seed);
  const scanners = ["alpha", "beta", "gamma"].slice(0, 1 + random.below(3));
  const ranges = [["192.0.2.0/28"], ["192.0.2.1-192.0.2.9", "192.0.2.64/27"], ["192.0.2.7", "2001:db8::/125"]][random.below(3)] ?? [];
  const spec = jobSpecOf({ scanners, ranges, ports: random.chance(0.5) ? "80,443" : "22-24", pairsMax: 1 + random.below(40) });
  const ports = spec.blocks[0]?.ports === "80,443" ? [80, 443] : [22, 23, 24];
  const target = new Set<string>();
  for (const { first, last } of ranges.map(parseRange))
    for (let address = first; address <= last; address += 1n) for (const port of ports) target.add(`${formatAddress(address)} ${port}`);
  const seen = new Set<string>();
  for (const tile of tilesOf(spec)) {
    let inTile = 0;
    for (const shard of tile.members.keys()) {
      const task: Assignment = {
        ...assignmentBase,
        key: { job: "0".repeat(64), tile: tile.index, shard: shard + 1, attempt: 1 },
        shardCount: tile.members.length,
        ranges: rangesText(tile.ranges),
        ports: formatPorts(tile.ports),
        pairs: tile.pairs,
      };
      let inShard = 0;
      for (const { address, port } of connectPairs(task)) {
        const pair = `${formatAddress(address)} ${port}`;
        must(target.has(pair), `seed ${seed}: ${pair} is probed and was not asked for`);
        must(!seen.has(pair), `seed ${seed}: ${pair} is probed twice`);
        seen.add(pair);
        inShard++;
      }
      must(inShard === connectShardPairs(task), `seed ${seed}: a shard of ${inShard} pairs is judged as one of ${connectShardPairs(task)}`);
      const argv = masscanArgv(task, {
        rangesFile: "f",
        adapter: { ipv4: "192.0.2.250", ipv6: "2001:db8::1", routerMac: "02:00:00:00:00:01" },
      });
      must(argv[argv.indexOf("--shard") + 1] === `${shard + 1}/${tile.members.length}`, "masscan is given another shard");
      inTile += inShard;
    }
    must(inTile === tile.pairs, `seed ${seed}: tile ${tile.index} says ${tile.pairs} pairs and holds ${inTile}`);
  }
  must(seen.size === target.size, `seed ${seed}: ${target.size - seen.size} pairs are in no tile`);
}

const assignmentBase = {
  version: 1 as const,
  scanner: "alpha",
  region: "eu",
  plan: "office",
  engine: "connect" as const,
  seed: "1",
  rateLimitPps: 1_000,
  retries: 0,
  waitS: 3,
  connectTimeoutMs: 1_000,
  masscanFamily: "1.3",
  canaries: [],
  deadlineAtMs: 0,
};

import { z } from "zod";
import type { Service, ServiceState } from "../../src/ledger/types.ts";
import { runCommand } from "../../src/local/lab/command.ts";
import { openKeys, pairKey } from "../../src/local/lab/truth.ts";
import { awaitThat, type LabRegion, withLabRegion } from "./verdict-region.ts";

/** When a plan closes what its jobs miss. */
export type Policy = { readonly closeAfter: number; readonly confirm: boolean };

/** What the whole measurement varies. Each policy has a /24 of living services and a plan of its own. */
export type FalseCloseSpec = {
  readonly policies: readonly Policy[];
  /** One after the other, each with `rounds` rounds. */
  readonly lossPercents: readonly number[];
  /** Complete jobs of each plan under loss. */
  readonly rounds: number;
  readonly servicesPerPolicy: number;
  readonly ports: readonly number[];
  readonly scanners: number;
};

/** What one policy did at one rate of loss. All services were open all the time. */
export type FalseCloseRow = Policy & {
  readonly lossPercent: number;
  readonly services: number;
  /** Services × complete jobs: each could have become a false close. */
  readonly looks: number;
  /** Looks whose probe was dropped on its way. */
  probesLost: number;
  /** Looks whose probe arrived and whose answer nobody heard. */
  answersLost: number;
  /** Times that a living service was closed after its looks had got no answer: physics. */
  physical: number;
  /** Times that a living service was missed or closed although its last look had seen it, or never asked: a bug. */
  structural: number;
};

const SETTLE_MS_MAX = 40_000;
const passedSchema = z.object({
  nftables: z.array(
    z.object({ set: z.object({ elem: z.array(z.object({ concat: z.tuple([z.string(), z.number()]) })).optional() }).optional() }),
  ),
});

// A kernel's SYN has more options than masscan's, so confirming connects stay out of this list of what passed the loss.
const PASSED_RULES = `table inet passed
delete table inet passed
table inet passed {
  set p4 { type ipv4_addr . inet_service; flags dynamic; size 200000; }
  chain in {
    type filter hook prerouting priority -290; policy accept;
    ip daddr 198.18.0.0/16 ip length < 50 tcp flags & (syn | ack) == syn update @p4 { ip daddr . tcp dport }
  }
}
`;

async function readPassed({ lab }: LabRegion): Promise<Set<string>> {
  const text = await runCommand(["ip", "netns", "exec", `${lab.name}-tgt`, "nft", "-j", "-n", "list", "set", "inet", "passed", "p4"]);
  const { nftables } = passedSchema.parse(JSON.parse(text));
  return new Set(nftables.flatMap(({ set }) => (set?.elem ?? []).map(({ concat: [address, port] }) => pairKey({ address, port }))));
}

/** One policy's plan, its range, and how many looks in a row have missed each of its services. */
type Field = {
  readonly policy: Policy;
  readonly plan: string;
  readonly range: string;
  readonly keys: readonly string[];
  readonly missed: Map<string, number>;
  /** The register of this field after the round before. */
  before: ReadonlyMap<string, Service>;
};

/** Reads the wire and the register after each round: how often living services were closed, and whether only loss had done it. */
export async function measureFalseCloses(spec: FalseCloseSpec): Promise<FalseCloseRow[]> {
  const { policies, ports, scanners } = spec;
  // The next power of two of /24 networks.
  const prefix4 = 24 - Math.ceil(Math.log2(policies.length));
  const networks = 2 ** (24 - prefix4);
  const lab = { seed: 11, scanners, prefix4, prefix6: 124, open4: spec.servicesPerPolicy * networks, filtered4: 0, open6: 0, ports };
  return withLabRegion(lab, async (world) => {
    for (let i = 1; i <= scanners; i += 1) await world.addGroup(`g${i}`, [`s${i}`]);
    const fields: Field[] = [];
    for (const [i, policy] of policies.entries()) {
      const [plan, range] = [`p${i}`, `198.18.${i}.0/24`];
      const keys = [...openKeys(world.lab.truth)].filter((key) => key.startsWith(`198.18.${i}.`));
      fields.push({ policy, plan, range, keys, missed: new Map(), before: new Map() });
      await world.addPlan({ name: plan, ranges: [range], ports, group: `g${1 + (i % scanners)}`, ...policy, rateLimitPps: 3_000 });
    }
    const rows: FalseCloseRow[] = [];
    for (const lossPercent of spec.lossPercents) {
      await playClean(world, fields);
      const own = fields.map((field) => rowOf(field, lossPercent, spec.rounds));
      for (let round = 1; round <= spec.rounds; round += 1) await playRound(world, fields, own);
      rows.push(...own);
    }
    return rows;
  });
}

function rowOf({ policy, keys }: Field, lossPercent: number, rounds: number): FalseCloseRow {
  const none = { probesLost: 0, answersLost: 0, physical: 0, structural: 0 };
  return { ...policy, lossPercent, services: keys.length, looks: keys.length * rounds, ...none };
}

async function runAll(world: LabRegion, fields: readonly Field[]): Promise<void> {
  await Promise.all(fields.map(({ plan }) => world.runJob(plan)));
}

async function playRound(world: LabRegion, fields: readonly Field[], rows: readonly FalseCloseRow[]): Promise<void> {
  const { lab, nft } = world;
  await lab.startSeen();
  await nft(PASSED_RULES);
  await lab.loss(rows[0]?.lossPercent ?? 0);
  await runAll(world, fields);
  const { packets } = await lab.readSeen();
  const passed = await readPassed(world);
  for (const [i, field] of fields.entries()) {
    const row = rows[i];
    if (row === undefined) throw new Error("each field has its row");
    for (const key of field.keys) {
      if (passed.has(key)) field.missed.delete(key);
      else field.missed.set(key, (field.missed.get(key) ?? 0) + 1);
      if (!passed.has(key) && packets.has(`tcp\t${key}`)) row.probesLost += 1;
    }
    judgeRound(field, row, { services: await settled(world, field), packets, passed });
  }
}

const SEVERITY: Readonly<Record<ServiceState, number>> = { open: 0, missing: 1, closed: 2 };

/** What the wire says that the register has to say. */
function dueState({ policy, missed }: Field, key: string): ServiceState {
  const count = missed.get(key) ?? 0;
  if (count === 0) return "open";
  // A confirm that gets through finds it open.
  if (count >= policy.closeAfter) return policy.confirm ? "open" : "closed";
  return "missing";
}

/** The register of a field when it says what is due; at the latest what it says after a while. */
async function settled(world: LabRegion, field: Field): Promise<Service[]> {
  let last: Service[] = [];
  const read = async (): Promise<Service[]> => (last = await world.services(field.range));
  const isDue = (services: readonly Service[]): boolean =>
    services.length === field.keys.length && services.every((service) => service.state === dueState(field, pairKey(service)));
  await awaitThat("what the wire says", read, isDue, SETTLE_MS_MAX).catch(() => undefined);
  return last;
}

type RoundFacts = {
  readonly services: readonly Service[];
  readonly packets: ReadonlyMap<string, number>;
  readonly passed: ReadonlySet<string>;
};

function judgeRound(field: Field, row: FalseCloseRow, { services, packets, passed }: RoundFacts): void {
  const found = new Map(services.map((service) => [pairKey(service), service]));
  for (const key of field.keys) {
    const service = found.get(key);
    const state = service?.state ?? "closed";
    const isWorse = SEVERITY[state] > SEVERITY[dueState(field, key)];
    const earlier = field.before.get(key);
    const wasSeen = (service?.lastSeenMs ?? 0) > (earlier?.lastSeenMs ?? 0);
    const wasAsked = packets.has(`tcp\t${key}`);
    if (state !== "open" && (wasSeen || !wasAsked)) row.structural += 1;
    else if (isWorse && passed.has(key)) row.answersLost += 1;
    if (state === "closed" && earlier?.state !== "closed" && wasAsked && !wasSeen) row.physical += 1;
    if (isWorse && state === "missing") field.missed.set(key, 1);
    // Found open by a confirm: counting begins anew.
    if (state === "open") field.missed.delete(key);
  }
  field.before = found;
}

/** One round without loss: everything is open, as it really is. */
async function playClean(world: LabRegion, fields: readonly Field[]): Promise<void> {
  await world.lab.loss(0);
  await runAll(world, fields);
  for (const field of fields) {
    field.missed.clear();
    const services = await settled(world, field);
    const open = services.filter(({ state }) => state === "open").length;
    if (open !== field.keys.length) throw new Error(`without loss ${open} of ${field.keys.length} services of ${field.range} are open`);
    field.before = new Map(services.map((service) => [pairKey(service), service]));
  }
}

/** A table for people; the last column is what chance alone gives without a confirm. */
export function falseCloseTable(rows: readonly FalseCloseRow[]): string {
  const head = ["SYN loss", "closeAfter", "confirm", "looks", "probes lost", "false closes", "rate", "chance", "structural"];
  const body = rows.map((row) => [
    `${row.lossPercent} %`,
    String(row.closeAfter),
    row.confirm ? "yes" : "no",
    String(row.looks),
    String(row.probesLost),
    String(row.physical),
    percent(row.physical / row.looks),
    row.confirm ? "" : percent((row.lossPercent / 100) ** row.closeAfter),
    String(row.structural),
  ]);
  const widths = head.map((text, i) => Math.max(text.length, ...body.map((cells) => (cells[i] ?? "").length)));
  return [head, ...body].map((cells) => `  ${cells.map((cell, i) => cell.padStart(widths[i] ?? 0)).join("  ")}`).join("\n");
}

function percent(share: number): string {
  return `${(share * 100).toFixed(4)} %`;
}

import { publicKeyOf, verifyText } from "../../../src/bus/keys.node.ts";
import {
  confirmRequestSchema,
  type ConfirmOrder,
  type ConfirmReply,
  type Probe,
  type ProbeAnswer,
} from "../../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../../src/core/statement.ts";
import type { Plan } from "../../../src/registry/types.ts";
import { until } from "../../bus/until.ts";
import { passTime } from "./passing-time.ts";
import { finish, firstPair, services, signed, startJob } from "./scanner-part.ts";
import { startWorld, type ScannerName, type World } from "./world.ts";

/** A service that scanner s1 has seen and the next job has missed. */
export type Missing = {
  readonly w: World;
  readonly keeper: ReturnType<World["startKeeper"]>;
  readonly job: string;
  readonly state: () => Promise<string | undefined>;
};

/** A region of the scanners s1 and s2 with a missing service; no heartbeat has been heard, and the monotonic clock stands. */
export async function startMissing(plan: Partial<Plan> = {}): Promise<Missing> {
  const w = await startWorld([{ pairsMax: 64, closeAfter: 1, confirm: true, ...plan }], { stoppedClock: true });
  try {
    const keeper = w.startKeeper("k1");
    const seen = await startJob(w);
    await finish(w, seen, (assignment) => (assignment.key.shard === 1 ? [firstPair(assignment)] : []));
    const job = await startJob(w);
    await finish(w, job);
    const state = async (): Promise<string | undefined> => (await services(w))[0]?.state;
    await until("the miss", async () => (await state()) === "missing");
    return { w, keeper, job, state };
  } catch (error) {
    await w.stop();
    throw error;
  }
}

/** The n-th order (from 1) of a desk, while both scanners live. */
export async function nextOrder(w: World, orders: readonly ConfirmOrder[], nth = 1): Promise<ConfirmOrder> {
  for (let second = 0; second < 5 && orders.length < nth; second += 1) await passTime(w, 1, ["s1", "s2"]);
  return until(`order ${nth}`, () => orders[nth - 1]);
}

/** The first order of scanner s1 in a region where s2 has been silent since the keeper's start. */
export async function orderAlone(w: World, orders: readonly ConfirmOrder[]): Promise<ConfirmOrder> {
  await passTime(w, 17, ["s1"]);
  return until("an order", () => orders[0]);
}

/** Takes the orders of one scanner; what it replies can be changed. */
export function takeOrders(world: World, scanner: ScannerName): { readonly orders: ConfirmOrder[]; reply: ConfirmReply } {
  const desk: { readonly orders: ConfirmOrder[]; reply: ConfirmReply } = { orders: [], reply: { ok: true } };
  world.bus.serve(`scan.eu.${scanner}`, {
    queue: scanner,
    handler: async ({ data }) => {
      const { order } = confirmRequestSchema.parse(JSON.parse(new TextDecoder().decode(data)));
      const isOurs = order.keeper === publicKeyOf(world.seeds.keeper) && order.scanner === scanner;
      if (!isOurs || !verifyText(order.keeper, confirmOrderSignedText(order), order.signature)) throw new Error("unsigned order");
      desk.orders.push(order);
      return new TextEncoder().encode(JSON.stringify(desk.reply));
    },
  });
  return desk;
}

/** A probe as the ordered scanner would send it, with one answer for all targets. */
export function probeOf(order: ConfirmOrder, answer: ProbeAnswer, over: Partial<Probe> = {}): Probe {
  const connects = answer === "error" ? 0 : 3;
  return {
    version: 1,
    order,
    results: order.targets.map((target) => ({ ...target, answer, connects })),
    startedAtMs: order.orderedAtMs,
    endedAtMs: order.orderedAtMs + 10_000,
    ...over,
  };
}

/** The same on the wire, signed by `as`. */
export function probeMessage(world: World, probe: Probe, as: ScannerName = probe.order.scanner as ScannerName): Uint8Array {
  return signed({ kind: "probe", content: probe }, { name: as, seed: world.seeds[as] });
}

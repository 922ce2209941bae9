import { publicKeyOf, verifyText } from "../../../src/bus/keys.node.ts";
import {
  confirmRequestSchema,
  type ConfirmOrder,
  type ConfirmReply,
  type Probe,
  type ProbeAnswer,
} from "../../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../../src/core/statement.ts";
import { signed } from "./scanner-part.ts";
import type { ScannerName, World } from "./world.ts";

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

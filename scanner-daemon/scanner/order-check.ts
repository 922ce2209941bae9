import { verifyText } from "../../src/bus/keys.node.ts";
import { formatAddress, parseAddress } from "../../src/core/address.ts";
import { confirmRequestSchema, type ConfirmOrder } from "../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../src/core/statement.ts";
import { errorText } from "../log.ts";
import type { ClaimRules } from "./claims.ts";

/** A confirm order to carry out, or why not. */
export type CheckedOrder = { readonly kind: "order"; readonly order: ConfirmOrder } | { readonly kind: "refused"; readonly reason: string };

/**
 * Checks shape, signature and addressee of one request. A scanner knows no target policy of its own: it looks only at what
 * a keeper of its own region has signed, as with assignments. Never throws.
 */
export function checkOrder(data: Uint8Array, rules: ClaimRules): CheckedOrder {
  try {
    const { order } = confirmRequestSchema.parse(JSON.parse(Buffer.from(data).toString("utf8")));
    if (!rules.keeperPublicKeys.includes(order.keeper)) return refused(`its keeper ${order.keeper} is not one of ours`);
    if (!verifyText(order.keeper, confirmOrderSignedText(order), order.signature)) return refused("its signature is wrong");
    if (order.scanner !== rules.name || order.region !== rules.region) {
      return refused(`it is for scanner ${order.scanner} of region ${order.region}`);
    }
    for (const { address, protocol, port } of order.targets) {
      if (formatAddress(parseAddress(address)) !== address) return refused(`"${address}" is not in canonical spelling`);
      if ((protocol === "tcp") !== (order.engine === "connect")) return refused(`${protocol} cannot be probed by engine ${order.engine}`);
      if (port === 0) return refused("port 0 cannot be probed");
    }
    for (const { address } of order.canaries ?? []) {
      if (formatAddress(parseAddress(address)) !== address) return refused(`canary "${address}" is not in canonical spelling`);
    }
    const distinct = new Set(order.targets.map(({ address, protocol, port }) => `${address} ${protocol} ${port}`));
    return distinct.size === order.targets.length ? { kind: "order", order } : refused("it names a target twice");
  } catch (error) {
    return refused(`it is no confirm order: ${errorText(error).slice(0, 300)}`);
  }
}

function refused(reason: string): CheckedOrder {
  return { kind: "refused", reason };
}

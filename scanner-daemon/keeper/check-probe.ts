import { canaryProblems } from "../../src/core/masscan/outcome.ts";
import type { ConfirmOrder, Probe, ServiceRef } from "../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../src/core/statement.ts";

/** What judging a probe takes. */
export type ProbeDeps = {
  readonly region: string;
  /** This keeper's own public key. */
  readonly keeper: string;
  readonly verify: (publicKey: string, text: string, signature: string) => boolean;
};

type Problem = { readonly cause: "forged" | "foreign" | "mismatch"; readonly text: string };

/** Rule 6: a negative answer rests on three connects that span at least 10 s. */
const CONNECTS_MIN = 3;
const SPAN_MS = 10_000;
const NOT_ASKED = { canariesBefore: { asked: 0, answered: 0 }, canariesAfter: { asked: 0, answered: 0 } };

/**
 * Whether a probe answers an order of ours, whole and as the rules want it; null when it does. That its author is the
 * scanner that was ordered is checked elsewhere. Silence that the order's canaries do not vouch for should have been an error;
 * who calls it something else is refused, so that it confirms nothing and is asked again.
 */
export function checkProbe({ order, results, evidence, startedAtMs, endedAtMs }: Probe, deps: ProbeDeps): Problem | null {
  if (order.region !== deps.region) return { cause: "foreign", text: `the order is of region ${order.region}` };
  if (order.keeper !== deps.keeper) return { cause: "forged", text: "the order is not of this keeper" };
  if (!deps.verify(order.keeper, confirmOrderSignedText(order), order.signature)) {
    return { cause: "forged", text: "the signature of the order does not fit" };
  }
  if (!answersAll(order, results)) return { cause: "mismatch", text: "the results are not those of the order's targets" };
  const blindness = canaryProblems(evidence ?? NOT_ASKED, { canaries: order.canaries ?? [] })[0];
  for (const { answer, connects, protocol, port, address } of results) {
    if (answer === "open" || answer === "error") continue;
    if (answer === "closed" && protocol === "udp") return { cause: "mismatch", text: "nothing can be seen closed over UDP" };
    if (blindness !== undefined) {
      return { cause: "mismatch", text: `${address} ${protocol}/${port} is called ${answer}, but ${blindness}` };
    }
    if (connects >= CONNECTS_MIN && endedAtMs - startedAtMs >= SPAN_MS) continue;
    const seen = `${connects} connects in ${endedAtMs - startedAtMs} ms`;
    return {
      cause: "mismatch",
      text: `${address} ${protocol}/${port} is called ${answer} after ${seen}; it takes ${CONNECTS_MIN} over ${SPAN_MS} ms`,
    };
  }
  return null;
}

function answersAll({ targets }: ConfirmOrder, results: Probe["results"]): boolean {
  const wanted = new Set(targets.map(textOf));
  return (
    results.length === targets.length &&
    new Set(results.map(textOf)).size === wanted.size &&
    results.every((one) => wanted.has(textOf(one)))
  );
}

function textOf({ address, protocol, port }: ServiceRef): string {
  return `${address} ${protocol} ${port}`;
}

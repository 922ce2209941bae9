import type { Ledger } from "../../src/ledger/types.ts";
import { errorText, type Log } from "../log.ts";

/** The right to write this region's log: one keeper at a time. */
export type LeaseHolder = {
  /** Takes the lease, or renews it when that is due. Never throws. */
  step(): Promise<void>;
  /** Commits a renewal now, whether due or not; throws when that fails. */
  renew(): Promise<void>;
  /** The epoch under which we may write, or null when we have no lease or could not renew it in time. */
  epoch(): number | null;
  /** How often the lease was taken: a ledger that lost its last commits may give the same epoch twice. */
  term(): number;
  /** Another keeper has it: stop at once. */
  lost(): void;
  /** Gives it back, so that the next keeper need not wait for its end. Never throws. */
  release(): Promise<void>;
};

type LeaseDeps = {
  readonly ledger: Pick<Ledger, "takeLease" | "renewLease" | "releaseLease">;
  readonly name: string;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly ttlMs: number;
  readonly log: Log;
};

type Held = { readonly epoch: number; renewedAtMs: number };

/** Keeps trying to be the one keeper. Times run on the monotonic clock and end at 80 % of the lease, so that ours is over before the ledger's. */
export function createLease(deps: LeaseDeps): LeaseHolder {
  let held: Held | null = null;
  let problem = "";
  let terms = 0;
  const fresh = (lease: Held): boolean => deps.monotonicMs() - lease.renewedAtMs < deps.ttlMs * 0.8;
  const request = () => ({ holder: deps.name, nowMs: deps.nowMs(), ttlMs: deps.ttlMs });
  const take = async (): Promise<void> => {
    // The time before the call counts: the ledger's lease begins later, never earlier.
    const startedAtMs = deps.monotonicMs();
    const lease = await deps.ledger.takeLease(request());
    if (lease === null) return;
    held = { epoch: lease.epoch, renewedAtMs: startedAtMs };
    terms += 1;
    deps.log.info("this keeper has the lease", { epoch: lease.epoch });
  };
  const renew = async (lease: Held): Promise<void> => {
    const startedAtMs = deps.monotonicMs();
    if (await deps.ledger.renewLease({ ...request(), epoch: lease.epoch })) {
      lease.renewedAtMs = startedAtMs;
    } else if (held === lease) {
      held = null;
      deps.log.warning("another keeper has taken the lease; this one stands by", { epoch: lease.epoch });
    }
  };
  return {
    step: async () => {
      try {
        if (held === null) await take();
        else if (deps.monotonicMs() - held.renewedAtMs >= deps.ttlMs / 3) await renew(held);
        problem = "";
      } catch (error) {
        const text = errorText(error);
        if (text !== problem) deps.log.warning(`the lease cannot be had: ${text}`);
        problem = text;
        if (held !== null && !fresh(held)) held = null;
      }
    },
    renew: async () => {
      if (held !== null) await renew(held);
    },
    epoch: () => (held !== null && fresh(held) ? held.epoch : null),
    term: () => terms,
    lost: () => {
      if (held !== null) deps.log.warning("another keeper writes to the ledger; this one stands by", { epoch: held.epoch });
      held = null;
    },
    release: async () => {
      const lease = held;
      held = null;
      if (lease === null) return;
      await deps.ledger.releaseLease({ holder: deps.name, epoch: lease.epoch }).catch((error: unknown) => {
        deps.log.info(`the lease could not be given back and will lapse: ${errorText(error)}`);
      });
    },
  };
}

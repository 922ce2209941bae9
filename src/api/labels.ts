import { longestPauseS } from "../registry/cron.ts";
import type { Labels } from "../ledger/labels.ts";
import type { LedgerReader, Service } from "../ledger/types.ts";
import type { RegistryState } from "../registry/types.ts";

/** What is said plainly beside a state. `tainted`: everybody who was the last to see it signed with keys that are revoked by now. */
export const LABELS = ["never-covered", "unmonitored", "stale", "reopened", "tainted"] as const;
export type Label = (typeof LABELS)[number];

/** A service with its labels, and when a scheduled plan last covered it (null: none did). */
export type LabelledService = Service & { readonly labels: readonly Label[]; readonly coveredAtMs: number | null };

type Sources = { readonly ledger: Pick<LedgerReader, "labels">; readonly plans: RegistryState["plans"]; readonly nowMs: number };

/** Labels of a page of services, in their order. */
export async function withLabels({ ledger, plans, nowMs }: Sources, services: readonly Service[]): Promise<LabelledService[]> {
  if (services.length === 0) return [];
  const labels = await ledger.labels({ services, asOfMs: nowMs, plans: plansThatRepeat(plans) });
  return services.map((service, index) => labelled(service, labels[index]));
}

function labelled(service: Service, labels: Labels | undefined): LabelledService {
  const holds: Readonly<Record<Label, boolean>> = {
    "never-covered": labels?.neverCovered === true,
    unmonitored: labels?.unmonitored === true,
    // What is unmonitored is not due, and what was never covered cannot have become old.
    stale: labels?.stale === true && !labels.unmonitored && !labels.neverCovered,
    reopened: service.reopened && service.state !== "closed",
    tainted: service.tainted,
  };
  return { ...service, labels: LABELS.filter((label) => holds[label]), coveredAtMs: labels?.coveredAtMs ?? null };
}

/** Those that run by themselves. A job that was planned in time may take as long as its deadline, but no longer than an interval. */
export function plansThatRepeat(plans: RegistryState["plans"]): { id: string; intervalMs: number }[] {
  return plans.flatMap((plan) => {
    const pauseS = plan.enabled ? longestPauseS(plan) : null;
    return pauseS === null ? [] : [{ id: plan.id, intervalMs: (pauseS + Math.min(plan.deadlineS, pauseS)) * 1_000 }];
  });
}

import { sha256Hex } from "../../src/bus/keys.node.ts";
import { asExclusions, type DeniedPairs } from "../../src/core/denied.ts";
import { targetSet } from "../../src/core/target.ts";
import type { Denied } from "../../src/ledger/denies.ts";
import type { RuleKind, RuleSet } from "../../src/ledger/rules.ts";
import type { RegistrySnapshot } from "../../src/registry/types.ts";

/** Mirrors into the ledger what the registry says about services: which are known-good, and which some plan covers. */
export type Rules = {
  /** Hands over what differs from what this keeper handed over last under its lease. Throws what the ledger throws: call it again. */
  apply(): Promise<void>;
};

type RulesDeps = {
  readonly ledger: {
    applyRules(kind: RuleKind, rules: RuleSet, context: { readonly epoch: number; readonly sha256: typeof sha256Hex }): Promise<void>;
  };
  readonly writer: { epoch(): number };
  readonly snapshots: { current(): RegistrySnapshot | null };
  /** What is denied is covered by no plan. */
  readonly forbidden?: { denied(): Denied };
};

/** Makes the mirror of one keeper. */
export function createRules({ ledger, writer, snapshots, forbidden }: RulesDeps): Rules {
  let applied = "";
  return {
    apply: async () => {
      const snapshot = snapshots.current();
      if (snapshot === null) return;
      const epoch = writer.epoch();
      // Another keeper may have had the lease in between, and rules end by the clock within one version.
      const ids = (things: readonly { readonly id: string }[]): string => things.map(({ id }) => id).join();
      const { version, pairs } = forbidden?.denied() ?? { version: "", pairs: [] };
      const wanted = [epoch, snapshot.version, ids(snapshot.knownGood), ids(snapshot.exclusions), version].join(" ");
      if (wanted === applied) return;
      const context = { epoch, sha256: sha256Hex };
      await ledger.applyRules("known-good", { version: snapshot.version, targets: snapshot.knownGood }, context);
      await ledger.applyRules("monitored", { version: snapshot.version, targets: monitored(snapshot, pairs) }, context);
      applied = wanted;
    },
  };
}

/** What the enabled plans cover now, whether by the clock or on request. */
function monitored({ plans }: RegistrySnapshot, denied: readonly DeniedPairs[]): RuleSet["targets"] {
  const { exclude, pairExclusions } = asExclusions(denied);
  return plans
    .filter((plan) => plan.enabled)
    .flatMap((plan) =>
      targetSet({
        include: plan.includeRanges,
        exclude: [...plan.excludeRanges, ...exclude],
        ports: plan.portRanges,
        pairExclusions: [...plan.pairExclusions, ...pairExclusions],
      }),
    );
}

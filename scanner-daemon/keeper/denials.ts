import { cancelSubject } from "../../src/bus/names.ts";
import { deniedText } from "../../src/core/denied.ts";
import type { DeniedList } from "../../src/core/messages/bus.ts";
import type { TileAbandoned } from "../../src/core/messages/record.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Forbidden } from "./forbidden.ts";
import type { Snapshots } from "./snapshot.ts";
import type { Tiles } from "./tiles.ts";

/** Enforces what must not be probed on jobs that run already. */
export type Denials = {
  /** Abandons the open tiles of our jobs that hold it, by record. Repeatable at any time. */
  abandon(): Promise<void>;
  /** Tells our scanners all that is denied: at each change, and now and then, since these messages may get lost. */
  tell(): void;
};

const TELL_EVERY_MS = 5_000;
const DETAILS: Readonly<Record<"denied" | "excluded", string>> = {
  denied: "a denied address was in it; a follow-up job covers the rest",
  excluded: "an address in it was excluded meanwhile; a follow-up job covers the rest",
};

type Services = { readonly forbidden: Forbidden; readonly tiles: Tiles; readonly snapshots: Snapshots };

/** Makes this part of one keeper. */
export function createDenials(deps: KeeperDeps, { forbidden, tiles, snapshots }: Services): Denials {
  let told = "";
  let toldAtMs = -Infinity;
  const abandonFor = async (job: string, cause: Extract<TileAbandoned["cause"], "denied" | "excluded">): Promise<void> => {
    const only = (await forbidden.tilesOf(job))[cause];
    if (only.length === 0) return;
    const records = await tiles.abandon(job, { cause, detail: DETAILS[cause] }, { only });
    if (records > 0) deps.log.warning(`open tiles of job ${job} are abandoned: ${DETAILS[cause]}`);
  };
  return {
    abandon: async () => {
      for (const job of await deps.ledger.runningJobs()) {
        if (job.home !== deps.region) continue;
        await abandonFor(job.id, "denied");
        await abandonFor(job.id, "excluded");
      }
    },
    tell: () => {
      const ours = snapshots.current()?.scanners.filter((scanner) => scanner.region === deps.region && scanner.enabled) ?? [];
      const { version, pairs } = forbidden.denied();
      const key = `${version} ${ours.map(({ name }) => name).join()}`;
      if (key === told && deps.monotonicMs() - toldAtMs < TELL_EVERY_MS) return;
      const list: DeniedList = {
        denied: deniedText(pairs).map(({ ranges, ports }) => ({ ranges: [...ranges], ports })),
        statedAtMs: deps.nowMs(),
      };
      const data = new TextEncoder().encode(JSON.stringify(list));
      for (const { name } of ours) deps.bus.publish(cancelSubject(name), data);
      told = key;
      toldAtMs = deps.monotonicMs();
    },
  };
}

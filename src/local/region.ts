import { join } from "node:path";
import { PortolanError } from "../core/errors.ts";
import { openControl } from "./control.ts";
import type { Layout } from "./layout.ts";
import type { RegionOptions } from "./options.ts";
import { prepareRegion } from "./prepare.ts";
import { filling, rebuildLedger } from "./rebuild.ts";
import { RegionParts } from "./region-parts.ts";
import type { Child } from "./supervisor.ts";

/** A running region. */
export type Region = {
  readonly name: string;
  readonly layout: Layout;
  readonly apiUrl: string;
  readonly natsUrl: string;
  readonly registryUrl: string;
  readonly ledgerUrl: string;
  /** Admin token of the CLI on this machine; `tokenIsNew` when this start made it. */
  readonly adminToken: string;
  readonly tokenIsNew: boolean;
  readonly keeperPublicKey: string;
  /** In the order of their start: registry, ledger, nats, keeper, scanner NAME …, api. */
  readonly children: readonly Child[];
  /** `registry`, `ledger`, `nats`, `keeper`, `api` or a scanner's name with `scanner-` before it. Throws `not-found`. */
  child(name: string): Child;
  /** Ends all children in order, the last started first. Repeatable. */
  stop(): Promise<void>;
};

const ONE_REGION = "this supervisor runs one region, which holds its own registry; for regions on several machines see docs/operations.md";

/**
 * Starts all of one region on this machine and returns when every part has answered a real request.
 * Throws `conflict` when another process uses the folder, `unavailable` with the remedy when a part does not come up; nothing is left running then.
 */
export async function startRegion(options: RegionOptions): Promise<Region> {
  // One region replicates its registry to nobody: no replication port.
  const parts = await RegionParts.open(options, {
    role: () => ({ kind: "primary", tls: null }),
    stores: () => ({}),
    authorityDir: join(options.dir, "authority"),
  });
  try {
    await Promise.all([parts.startRegistry(), parts.startLedger()]);
    const token = await prepareRegion(parts.registry, parts);
    await parts.registry.setHome(options.region);
    await parts.startNats();
    await parts.startKeeper();
    await parts.startRest();
    await parts.settle(token);
    const control = await openControl(parts.places.layout.dir, {
      promote: () => Promise.reject(new PortolanError("conflict", ONE_REGION)),
      rebuild: () => rebuildLedger(parts),
      filling: () => filling(parts),
      backup: async () => (await parts.backups?.now()) ?? [],
    });
    parts.beforeStop(() => control.close());
    return parts.handle(token);
  } catch (error) {
    await parts.stop();
    throw error;
  }
}

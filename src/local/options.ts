import type { DaemonConfigInput } from "../../scanner-daemon/config.ts";
import type { BackupOptions } from "./backup.ts";
import type { ChildEvent } from "./supervisor.ts";

/** A scanner of this region whose daemon runs on this machine. */
export type LocalScanner = {
  readonly name: string;
  /** Addresses it probes from, as the registry lists them. */
  readonly addresses: readonly string[];
} & Pick<NonNullable<DaemonConfigInput["scanner"]>, "launcher" | "adapter" | "labMode" | "tools" | "spoolBytesMax">;

/** What serves an API: the pinned Node, Deno, or Cloudflare's workerd with a bundle made at the start. */
export const RUNTIMES = ["node", "deno", "workerd"] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

/** How a region reaches another one where that is not as the registry says: through a tunnel, or past a translated address. */
export type PeerWay = {
  /** Its message server. */
  readonly natsUrl?: string;
  /** Port on 127.0.0.1 that leads to the replication port of its registry. */
  readonly registryPort?: number;
};

/** What one region on this machine consists of. */
export type RegionOptions = {
  /** Folder of all its data; created with mode 0700. One supervisor at a time. */
  readonly dir: string;
  readonly region: string;
  readonly scanners: readonly LocalScanner[];
  /** Default `node`. */
  readonly runtime?: RuntimeName;
  /** Fixed port of the API; otherwise the one of the last start, or one that the system chooses. */
  readonly apiPort?: number;
  /** Where API and NATS listen; default 127.0.0.1. Other machines need another one for NATS. */
  readonly apiHost?: string;
  readonly natsHost?: string;
  readonly natsPort?: number;
  /** TLS on loopback too. Where others can reach NATS there is TLS in any case. */
  readonly natsTls?: boolean;
  /** Name or address under which other machines reach NATS; default `natsHost`. Goes into credentials files. */
  readonly natsAdvertise?: string;
  /** Other regions, by name, that are reached from here in another way than the registry says. */
  readonly peers?: Readonly<Record<string, PeerWay>>;
  /** Fields of the keeper's configuration beside its name. */
  readonly keeper?: Omit<NonNullable<DaemonConfigInput["keeper"]>, "name">;
  /** Dumps of the databases; default: every hour, at most 48 and 4 GiB of each. False: none. */
  readonly backups?: Partial<BackupOptions> | false;
  readonly logLevel?: DaemonConfigInput["logLevel"];
  readonly onEvent?: (event: ChildEvent) => void;
};

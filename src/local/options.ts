import type { DaemonConfigInput } from "../../scanner-daemon/config.ts";
import type { ChildEvent } from "./supervisor.ts";

/** A scanner of this region whose daemon runs on this machine. */
export type LocalScanner = {
  readonly name: string;
  /** Addresses it probes from, as the registry lists them. */
  readonly addresses: readonly string[];
} & Pick<NonNullable<DaemonConfigInput["scanner"]>, "launcher" | "adapter" | "labMode" | "tools" | "spoolBytesMax">;

/** What one region on this machine consists of. */
export type RegionOptions = {
  /** Folder of all its data; created with mode 0700. One supervisor at a time. */
  readonly dir: string;
  readonly region: string;
  readonly scanners: readonly LocalScanner[];
  /** Fixed port of the API; otherwise the one of the last start, or one that the system chooses. */
  readonly apiPort?: number;
  /** Where API and NATS listen; default 127.0.0.1. Other machines need another one for NATS. */
  readonly apiHost?: string;
  readonly natsHost?: string;
  readonly natsPort?: number;
  /** Name or address under which other machines reach NATS; default `natsHost`. Goes into credentials files. */
  readonly natsAdvertise?: string;
  /** Fields of the keeper's configuration beside its name. */
  readonly keeper?: Omit<NonNullable<DaemonConfigInput["keeper"]>, "name">;
  readonly logLevel?: DaemonConfigInput["logLevel"];
  readonly onEvent?: (event: ChildEvent) => void;
};

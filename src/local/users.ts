import type { Registry } from "../registry/registry.ts";
import type { NatsUsers } from "./nats.ts";

const POLL_MS = 1_000;

type Place = { readonly region: string; readonly keeperPublicKey: string };

/** Who may connect to the region's NATS server, kept in step with the registry. */
export class NatsUsersWatch {
  readonly #registry: Registry;
  readonly #place: Place;
  #users: NatsUsers;
  #timer: NodeJS.Timeout | null = null;
  #apply: (users: NatsUsers) => void = () => undefined;

  private constructor(registry: Registry, place: Place, users: NatsUsers) {
    this.#registry = registry;
    this.#place = place;
    this.#users = users;
  }

  /** Reads the users that there are now. */
  static async open(registry: Registry, place: Place): Promise<NatsUsersWatch> {
    return new NatsUsersWatch(registry, place, await readUsers(registry, place));
  }

  /** Users as of the last look. */
  get users(): NatsUsers {
    return this.#users;
  }

  /** What to do with changed users; replaces what was set before. */
  onChange(apply: (users: NatsUsers) => void): void {
    this.#apply = apply;
  }

  /** Looks once a second from now on. */
  start(): void {
    const look = async (): Promise<void> => {
      // Without the registry the users stay as they are.
      await this.#look().catch(() => undefined);
      if (this.#timer !== null) this.#timer = setTimeout(() => void look(), POLL_MS);
    };
    this.#timer = setTimeout(() => void look(), POLL_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #look(): Promise<void> {
    const users = await readUsers(this.#registry, this.#place);
    if (JSON.stringify(users) === JSON.stringify(this.#users)) return;
    this.#users = users;
    this.#apply(users);
  }
}

async function readUsers(registry: Registry, place: Place): Promise<NatsUsers> {
  const { scanners, regions } = await registry.state();
  const others = regions.filter((region) => region.name !== place.region && region.state === "active");
  const own = scanners.filter((scanner) => scanner.region === place.region && scanner.enabled);
  return {
    // Upper case, so that no scanner can have the same name.
    keepers: [{ name: "KEEPER", publicKey: place.keeperPublicKey }],
    scanners: own.map(({ name, publicKey }) => ({ name, publicKey })),
    // Keys that have ended stay listed to verify old records; a keeper that comes has the newest, yet others may still be at work.
    peers: others.flatMap(({ name, keeperPublicKeys }) => keeperPublicKeys.map((publicKey) => ({ name: `peer_${name}`, publicKey }))),
  };
}

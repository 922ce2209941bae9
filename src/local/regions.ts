import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { nameSchema } from "../core/messages/common.ts";
import { PortolanError } from "../core/errors.ts";
import type { Backup } from "./backup.ts";
import { Authority } from "./certificates.ts";
import { openControl } from "./control.ts";
import { type Lock, lockFolder } from "./lock.ts";
import type { RegionOptions } from "./options.ts";
import { type AdminToken, type Position, prepareFurtherRegion, prepareRegion } from "./prepare.ts";
import { promote, type Promotion } from "./promote.ts";
import { filling, rebuildLedger, type Rebuild } from "./rebuild.ts";
import type { Region } from "./region.ts";
import { RegionParts } from "./region-parts.ts";
import type { RegistryRole } from "./registry-child.ts";
import type { ChildEvent } from "./supervisor.ts";
import { readTopology, writeTopology } from "./topology.ts";

/** One of several regions on this machine. */
export type RegionPart = Omit<RegionOptions, "dir" | "region" | "onEvent"> & Position & { readonly name: string };

/** Several regions on one machine, each with all that a region has. */
export type RegionsOptions = {
  /** Folder of everything; each region has a folder of its own in it. One supervisor at a time. */
  readonly dir: string;
  /** At least one. */
  readonly regions: readonly RegionPart[];
  /** Where the registry's primary is at the very first start, default the first region; later starts remember it, promotions included. */
  readonly home?: string;
  readonly onEvent?: (event: ChildEvent & { readonly region: string }) => void;
} & Pick<RegionOptions, "keeper" | "logLevel" | "backups">;

/** Running regions. */
export type Regions = {
  /** In the order in which they were given. */
  readonly regions: readonly Region[];
  /** Throws `not-found`. */
  region(name: string): Region;
  /** The region that holds the registry's primary now. */
  home(): string;
  /** Admin token of all regions. */
  readonly adminToken: string;
  /** Makes another region the registry's home; see promote.ts. */
  promote(name: string): Promise<Promotion>;
  /** Throws a region's ledger away (it is set aside) and has it filled by its peers; see rebuild.ts. */
  rebuild(name: string): Promise<Rebuild>;
  /** How many records a region lacks; null while one of its peers has not answered. */
  filling(name: string): Promise<number | null>;
  /** Dumps all databases now. */
  backup(): Promise<Backup[]>;
  /** Ends everything in order, the registry's home last. Repeatable. */
  stop(): Promise<void>;
};

/**
 * Starts several regions on this machine: the registry's primary with mutual TLS on its replication port, replicas of it elsewhere, and in
 * each region a ledger, a message server, a keeper, scanners and an API. Returns when every part has answered a real request.
 * Throws as `startRegion` does; nothing is left running then.
 */
export async function startRegions(options: RegionsOptions): Promise<Regions> {
  const house = await House.open(options);
  try {
    await house.start();
    return house.handle();
  } catch (error) {
    await house.stop();
    throw error;
  }
}

/** All parts, and what they have to know of one another. */
export class House {
  readonly dir: string;
  readonly parts: RegionParts[] = [];
  readonly #options: RegionsOptions;
  readonly #lock: Lock;
  readonly #authority: Authority;
  readonly #takenPorts = new Set<number>();
  #home: string;
  #token: AdminToken = { text: "", isNew: false };
  #control: { close(): Promise<void> } | null = null;
  #promoting: Promise<unknown> = Promise.resolve();
  #stopped: Promise<void> | null = null;

  private constructor(options: RegionsOptions, lock: Lock, home: string) {
    this.dir = options.dir;
    this.#options = options;
    this.#lock = lock;
    this.#home = home;
    this.#authority = new Authority(join(options.dir, "authority"));
  }

  /** Claims all folders and chooses all ports; starts nothing. */
  static async open(options: RegionsOptions): Promise<House> {
    const names = options.regions.map(({ name }) => nameSchema.parse(name));
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    const lock = await lockFolder(options.dir);
    try {
      const home = readTopology(options.dir)?.home ?? options.home ?? names[0] ?? "";
      if (!names.includes(home)) {
        throw new PortolanError(
          "conflict",
          `the registry's home is region "${home}", which is not among ${names.join(", ")}; start it too`,
        );
      }
      writeTopology(options.dir, { home, regions: names });
      const house = new House(options, lock, home);
      try {
        for (const part of options.regions) house.parts.push(await house.#openPart(part));
      } catch (error) {
        for (const part of house.parts) await part.stop();
        throw error;
      }
      return house;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  #openPart(part: RegionPart): Promise<RegionParts> {
    const { keeper, logLevel, backups, onEvent } = this.#options;
    const { name, latitude: _latitude, longitude: _longitude, ...own } = part;
    const options: RegionOptions = {
      ...(keeper === undefined ? {} : { keeper }),
      ...(logLevel === undefined ? {} : { logLevel }),
      ...(backups === undefined ? {} : { backups }),
      ...own,
      dir: join(this.dir, name),
      region: name,
      onEvent: (event) => onEvent?.({ ...event, region: name }),
    };
    const shared = { authorityDir: this.#authority.dir, takenPorts: this.#takenPorts };
    return RegionParts.open(options, { role: () => this.#roleOf(name), stores: () => this.#stores(), ...shared });
  }

  get home(): string {
    return this.#home;
  }

  /** From now on, and at the next start, this region holds the primary. */
  setHome(name: string): void {
    writeTopology(this.dir, { home: name, regions: this.parts.map(({ options }) => options.region) });
    this.#home = name;
  }

  part(name: string): RegionParts {
    const found = this.parts.find(({ options }) => options.region === name);
    if (found !== undefined) return found;
    const names = this.parts.map(({ options }) => options.region).join(", ");
    throw new PortolanError("not-found", `there is no region "${name}" here; there are ${names}`);
  }

  #roleOf(name: string): RegistryRole {
    if (name === this.#home) return { kind: "primary", tls: this.#authority.server(name) };
    const { places } = this.part(this.#home);
    const primaryGrpcPort = this.part(name).options.peers?.[this.#home]?.registryPort ?? places.ports.registryGrpc;
    return { kind: "replica", primaryGrpcPort, primaryAdminUrl: places.registryAdminUrl, tls: this.#authority.client(name) };
  }

  #stores(): Record<string, string> {
    const list = this.parts.map(({ places }, index) => {
      const { name, latitude, longitude } = this.#options.regions[index] ?? { name: places.region, latitude: 0, longitude: 0 };
      return { name, latitude, longitude, registryUrl: places.registryUrl, ledgerUrl: places.ledgerUrl };
    });
    return { PORTOLAN_REGIONS: JSON.stringify(list), PORTOLAN_REGISTRY_PRIMARY_URL: this.part(this.#home).places.registryUrl };
  }

  async start(): Promise<void> {
    await all([this.startRegistries(), ...this.parts.map((part) => part.startLedger())]);
    await all(this.parts.map((part) => part.startNats()));
    await all(this.parts.map((part) => part.startKeeper()));
    await all(this.parts.map((part) => part.startRest()));
    await all(this.parts.map((part) => part.settle(this.#token)));
    const named = (body: unknown): RegionParts => this.part(z.object({ region: nameSchema }).parse(body).region);
    this.#control = await openControl(this.dir, {
      promote: (body) => this.promote(named(body).options.region),
      rebuild: (body) => rebuildLedger(named(body)),
      filling: (body) => filling(named(body)),
      backup: () => this.backup(),
    });
  }

  /** The first step of `start`: the primary with all that the regions have to have in it, then its replicas. */
  async startRegistries(): Promise<void> {
    const home = this.part(this.#home);
    const others = this.parts.filter((part) => part !== home);
    await home.startRegistry();
    await this.#prepare(home, others);
    await all(others.map((part) => part.startRegistry()));
  }

  async #prepare(home: RegionParts, others: readonly RegionParts[]): Promise<void> {
    const place = (part: RegionParts) => {
      const { latitude, longitude } = this.#options.regions.find(({ name }) => name === part.options.region) ?? {
        latitude: 0,
        longitude: 0,
      };
      return { places: part.places, options: part.options, position: { latitude, longitude } };
    };
    this.#token = await prepareRegion(home.registry, place(home));
    await home.registry.setHome(home.options.region);
    for (const part of others) await prepareFurtherRegion(home.registry, place(part), this.#token);
  }

  /** One at a time. */
  promote = (name: string): Promise<Promotion> => {
    const turn = this.#promoting.catch(() => undefined).then(() => promote(this, name));
    this.#promoting = turn;
    return turn;
  };

  backup = async (): Promise<Backup[]> => (await all(this.parts.map(async (part) => (await part.backups?.now()) ?? []))).flat();

  stop = (): Promise<void> => (this.#stopped ??= this.#stopAll());

  async #stopAll(): Promise<void> {
    await this.#control?.close();
    const home = this.parts.find(({ options }) => options.region === this.#home);
    await Promise.all(this.parts.filter((part) => part !== home).map((part) => part.stop()));
    await home?.stop();
    await this.#lock.release();
  }

  handle(): Regions {
    const regions = this.parts.map((part) => part.handle(this.#token));
    return {
      regions,
      region: (name) => {
        this.part(name);
        return regions.find((region) => region.name === name) ?? fail(name);
      },
      home: () => this.#home,
      adminToken: this.#token.text,
      promote: this.promote,
      rebuild: (name) => rebuildLedger(this.part(name)),
      filling: (name) => filling(this.part(name)),
      backup: this.backup,
      stop: this.stop,
    };
  }
}

function fail(name: string): never {
  throw new PortolanError("internal", `region "${name}" has no handle`);
}

/** Waits for all of them even when one fails, so that nothing is still starting when everything is stopped. Throws the first failure. */
async function all<T>(work: readonly Promise<T>[]): Promise<T[]> {
  const results = await Promise.allSettled(work);
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

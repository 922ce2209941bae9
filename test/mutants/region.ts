import { newSeed, publicKeyOf, sha256Hex, signText, verifyText } from "../../src/bus/keys.node.ts";
import { encodeSightings } from "../../src/core/columns.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import type { ConfirmOrder } from "../../src/core/messages/probe.ts";
import type { SignedStatement, Statement } from "../../src/core/messages/record.ts";
import { confirmOrderSignedText, signedText, statementId } from "../../src/core/statement.ts";
import { encodeWire } from "../../src/core/wire.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { AcceptItem, Ledger } from "../../src/ledger/types.ts";
import type { Scanner } from "../../src/registry/types.ts";
import { checkMessage, type CheckDeps } from "../../scanner-daemon/keeper/check.ts";
import { createSpecs } from "../../scanner-daemon/keeper/specs.ts";
import { contextAt, itemOf, jobSpecOf, sightingsOf, tileCompleteOf, uploadOf } from "../ledger/builders.ts";
import type { MemoryDatabase } from "../ledger/memory-database.ts";

/** Scanners of the story: two members of region eu, one of eu that no job names, one of us, one that was switched off. */
export const SEEDS = { alpha: newSeed(), gamma: newSeed(), idle: newSeed(), beta: newSeed(), off: newSeed() } as const;
export type Name = keyof typeof SEEDS;
const KEEPER_SEED = newSeed();

/** The service that the story is about. */
export const LIVING = "192.0.2.1:80";

const registered = (Object.keys(SEEDS) as Name[]).map((name): Scanner => ({
  name,
  region: name === "beta" ? "us" : "eu",
  addresses: [],
  publicKey: publicKeyOf(SEEDS[name]),
  enabled: name !== "off",
  mayProbe: null,
  mayNotProbe: [],
  createdAtMs: 0,
}));

/** What somebody sends; `payload` of a part. */
export type Sent = { readonly statement: Statement; readonly payload?: Uint8Array; readonly signed?: Partial<SignedStatement["author"]> };

/** One region's keeper on a ledger in memory: the product's own way from the bytes of a message to the verdict. */
export class Region {
  readonly ledger: Ledger;
  readonly #deps: CheckDeps;
  #epoch = -1;
  #nowMs = 1_700_000_000_000;

  private constructor(database: MemoryDatabase) {
    this.ledger = ledgerOn(database, "eu");
    this.#deps = {
      region: "eu",
      keeper: publicKeyOf(KEEPER_SEED),
      verify: verifyText,
      sha256: sha256Hex,
      scanners: () => registered,
      specs: createSpecs(this.ledger),
      reassigned: (key) => this.ledger.reassigned(key),
    };
  }

  /** On a database that is emptied first. */
  static async open(database: MemoryDatabase): Promise<Region> {
    database.clear();
    const region = new Region(database);
    await region.ledger.ensureLog(() => "a".repeat(32));
    region.#epoch = (await region.ledger.takeLease({ holder: "k", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
    await region.accept([uploadOf(sightingsOf([LIVING]))]);
    return region;
  }

  async accept(items: readonly AcceptItem[]): Promise<void> {
    this.#nowMs += 1_000;
    await this.ledger.accept(items, contextAt(this.#epoch, this.#nowMs));
  }

  async plan(
    policy: JobSpec["policy"],
    block: { scanners: readonly Name[]; engine: "masscan" | "connect" },
  ): Promise<{ id: string; spec: JobSpec }> {
    const base = jobSpecOf({
      scanners: block.scanners,
      ranges: ["192.0.2.0/30"],
      ports: "80,443",
      policy,
      frontier: await this.ledger.frontier(),
    });
    const spec: JobSpec = {
      ...base,
      blocks: base.blocks.map((one) => ({ ...one, engine: block.engine })),
      members: block.scanners.map((scanner, index) => {
        return { scanner, region: scanner === "beta" ? "us" : "eu", publicKey: publicKeyOf(SEEDS[scanner]), place: index + 1 };
      }),
      canaries: [80, 443, 22, 25].map((port) => ({ address: "192.0.2.1", port })),
    };
    const item = itemOf({ kind: "job", content: spec });
    await this.accept([item]);
    return { id: item.id, spec };
  }

  /** What the keeper does with bytes that claim to be from `from`; whether it took them. */
  async receive({ statement, payload, signed }: Sent, from: Name): Promise<boolean> {
    const id = statementId(statement, sha256Hex);
    const author = { name: from, publicKey: publicKeyOf(SEEDS[from]), signature: signText(SEEDS[from], signedText(id)), ...signed };
    const checked = await checkMessage(encodeWire({ statement, author }, payload ?? null), this.#deps);
    if (checked.kind === "good") await this.accept([checked.item]);
    return checked.kind === "good";
  }

  /** A confirm order as this region's keeper signs it, or somebody else who calls himself a keeper. */
  order(unsigned: Omit<ConfirmOrder, "keeper" | "signature">, by?: Name): ConfirmOrder {
    const seed = by === undefined ? KEEPER_SEED : SEEDS[by];
    const order = { ...unsigned, keeper: publicKeyOf(seed) };
    return { ...order, signature: signText(seed, confirmOrderSignedText(order)) };
  }

  /** Writes the tile-completes that may be written, and does what was put off. */
  async settle(): Promise<void> {
    for (const { job, tile, reports } of await this.ledger.completableTiles({ home: "eu", limit: 9 })) {
      const complete = tileCompleteOf(job, tile, []).statement;
      if (complete.kind === "tile-complete") {
        await this.accept([itemOf({ kind: "tile-complete", content: { ...complete.content, reports } })]);
      }
    }
    while (await this.ledger.runDeferred({ epoch: this.#epoch, sha256: sha256Hex }));
  }

  async states(): Promise<Record<string, string>> {
    const { items } = await this.ledger.listServices({ state: "all" });
    return Object.fromEntries(items.map(({ address, port, state }) => [`${address}:${port}`, state]));
  }
}

/** The payload of a part that saw these services. */
export function columnsOf(seen: readonly string[]): Uint8Array {
  return encodeSightings(sightingsOf(seen));
}

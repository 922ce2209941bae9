import type BetterSqlite3 from "better-sqlite3";
import { PortolanError } from "../../src/core/errors.ts";
import type { Durability } from "../../scanner-daemon/keeper/durability.ts";
import type { Database, Sql, SqlRow, SqlValue } from "../../src/ledger/database.ts";
import { type MemoryDatabase, openMemoryDatabase } from "../ledger/memory-database.ts";
import type { Simulation, SimProcess } from "./engine.ts";

/** Chances from 0 to 1 of what may happen to one call. */
export type LedgerFaults = { refuse: number; loseReply: number };

const TIMEOUT_MS = 3_000;

const looks = new Map<string, BetterSqlite3.Statement>();
let kept: { readonly mutate: ((sql: string) => string) | undefined; readonly database: MemoryDatabase } | null = null;

/** One database serves all runs of a process, one after the other: making tables and statements takes as long as a short run. */
function emptyDatabase(mutate: ((sql: string) => string) | undefined): MemoryDatabase {
  if (kept === null || kept.mutate !== mutate) {
    kept = { mutate, database: openMemoryDatabase(mutate) };
    // Each query that sorts would make a file else.
    kept.database.sqlite.pragma("temp_store = memory");
    looks.clear();
  }
  kept.database.clear();
  kept.database.sqlite.exec("delete from keeper; insert into keeper(id) values (1)");
  return kept.database;
}

/**
 * A database server as sqld is: it forgets at each start that it should commit with fsync, and a power failure takes the commits
 * that were made without and not followed by one with it.
 */
export class LedgerServer {
  readonly faults: LedgerFaults = { refuse: 0, loseReply: 0 };
  readonly database: MemoryDatabase;
  /** Called after each committed write. */
  onWrite: (statements: readonly Sql[]) => void = () => {};
  up = true;
  #strong = false;
  /** Commits lie in an outer transaction while they are not durable. */
  #volatile = false;
  readonly #simulation: Simulation;

  constructor(simulation: Simulation, mutate?: (sql: string) => string) {
    this.#simulation = simulation;
    this.database = emptyDatabase(mutate);
  }

  connect(owner: SimProcess): Database {
    return { batch: (statements, mode) => this.#batch(owner, statements, mode), close: () => undefined };
  }

  durability(owner: SimProcess): Durability {
    return {
      check: () =>
        this.#call(owner, "durability", () => {
          const was = this.#strong;
          this.#strong = true;
          return was ? "strong" : "restored";
        }),
    };
  }

  restart({ powerFailure, afterMs }: { readonly powerFailure: boolean; readonly afterMs: number }): void {
    if (powerFailure && this.#volatile) {
      this.#simulation.note("commits without fsync are lost");
      this.database.sqlite.exec("rollback");
      this.#volatile = false;
    }
    this.#strong = false;
    this.up = false;
    this.#simulation.after(afterMs, null, "ledger up", () => {
      this.up = true;
      this.#simulation.note("the ledger is back");
    });
  }

  /** For looking at it from outside: without time, without faults. */
  read(sql: string, args: readonly SqlValue[] = []): SqlRow[] {
    const statement = looks.get(sql) ?? this.database.sqlite.prepare(sql);
    looks.set(sql, statement);
    const bound = args.length === 0 ? [] : [Object.fromEntries(args.map((value, index) => [String(index + 1), value]))];
    return statement.all(...bound) as SqlRow[];
  }

  close(): void {
    if (this.#volatile) this.database.sqlite.exec("rollback");
  }

  #batch(owner: SimProcess, statements: readonly Sql[], mode: "read" | "write"): Promise<SqlRow[][]> {
    if (mode === "read") return this.#call(owner, "ledger read", () => this.database.batch(statements, "read"));
    return this.#call(owner, "ledger write", async () => {
      if (!this.#strong && !this.#volatile) {
        this.database.sqlite.exec("begin");
        this.#volatile = true;
      }
      const rows = await this.database.batch(statements, "write");
      if (this.#strong && this.#volatile) {
        this.database.sqlite.exec("commit");
        this.#volatile = false;
      }
      this.onWrite(statements);
      return rows;
    });
  }

  #call<T>(owner: SimProcess, label: string, effect: () => T | Promise<T>): Promise<T> {
    const simulation = this.#simulation;
    const { random } = simulation;
    return new Promise((resolve, reject) => {
      if (!owner.alive) return;
      const fail = (problem: string): void => reject(new PortolanError("unavailable", problem));
      simulation.after(simulation.between(0.1, 4), owner, label, () => {
        if (simulation.crashes(owner, label, "before")) return;
        if (!this.up || random.chance(this.faults.refuse)) {
          simulation.after(simulation.between(1, TIMEOUT_MS), owner, label, () => fail("the ledger does not answer"));
          return;
        }
        const answered = Promise.resolve(effect()).then(
          (value) => () => resolve(value),
          (error: unknown) => () => reject(error instanceof Error ? error : new Error(String(error))),
        );
        void answered.then((act) => {
          if (simulation.crashes(owner, label, "after")) return;
          if (random.chance(this.faults.loseReply)) {
            simulation.note(`${owner.name}: the reply of a ${label} is lost`);
            simulation.after(TIMEOUT_MS, owner, label, () => fail("the ledger did not answer in time"));
            return;
          }
          simulation.after(simulation.between(0.1, 4), owner, `${label} done`, act);
        });
      });
    });
  }
}

import { PortolanError } from "../core/errors.ts";
import { type Database, numberOf, optionalTextOf, textOf } from "./database.ts";
import { claimLease } from "./settle.ts";
import { type Command, COMMAND_KINDS, type CommandKind, type CommandResult } from "./types.ts";

/** More than that wait only when no keeper works. */
const WAITING_MAX = 1_000;
const BODY_CHARS_MAX = 256 * 1024;
const KEEP_DONE_MS = 3_600_000;
/** A keeper may have begun just before a command's time was over; from then on none is at it any more. */
const LATE_AFTER_MS = 60_000;
const LATE: CommandResult = { ok: false, code: "unavailable", message: "no keeper came to it in time; send it again" };

/** See `LedgerReader.submitCommand`. */
export async function submitCommand(
  database: Database,
  kind: CommandKind,
  body: unknown,
  { nowMs, ttlMs = 60_000 }: { nowMs: number; ttlMs?: number },
): Promise<string> {
  const text = JSON.stringify(body);
  if (text.length > BODY_CHARS_MAX)
    throw new PortolanError("too-large", `the command has ${text.length} characters; at most ${BODY_CHARS_MAX}`);
  const id = crypto.randomUUID();
  const [, rows] = await database.batch(
    [
      {
        sql: `insert into inbox(id, kind, body, created_at_ms, expires_at_ms) select ?1, ?2, ?3, ?4, ?5
          where (select count(*) from inbox where done_at_ms is null) < ?6 on conflict do nothing`,
        args: [id, kind, text, nowMs, nowMs + ttlMs, WAITING_MAX],
      },
      { sql: "select count(*) as n from inbox where id = ?1", args: [id] },
    ],
    "write",
  );
  if (numberOf(rows?.[0], "n") === 0) {
    throw new PortolanError("unavailable", `${WAITING_MAX} commands wait for this region's keeper; check that its daemon runs`);
  }
  return id;
}

/** See `LedgerReader.awaitCommand`. */
export async function awaitCommand(database: Database, id: string, timeoutMs: number): Promise<CommandResult | null> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = 15; ; pauseMs = Math.min(200, pauseMs * 1.5)) {
    const [rows] = await database.batch([{ sql: "select result from inbox where id = ?1", args: [id] }], "read");
    const result = optionalTextOf(rows?.[0], "result");
    if (result !== null) return parseResult(result);
    if (performance.now() + pauseMs > deadline) return null;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/** See `Ledger.takeCommands`. */
export async function takeCommands(database: Database, { limit, nowMs }: { limit: number; nowMs: number }): Promise<Command[]> {
  const [rows] = await database.batch(
    [
      {
        sql: "select id, kind, body, created_at_ms from inbox where done_at_ms is null and expires_at_ms > ?2 order by payload is not null, n limit ?1",
        args: [limit, nowMs],
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    id: textOf(row, "id"),
    kind: parseKind(textOf(row, "kind")),
    body: JSON.parse(textOf(row, "body")),
    createdAtMs: numberOf(row, "created_at_ms"),
  }));
}

/** See `Ledger.finishCommand`. Also ends what is past its time, and forgets what was done an hour ago. */
export async function finishCommand(
  database: Database,
  id: string,
  result: CommandResult,
  { epoch, nowMs }: { epoch: number; nowMs: number },
): Promise<void> {
  await database.batch(
    [
      claimLease(epoch, 0),
      {
        sql: "update inbox set done_at_ms = ?2, result = ?3 where id = ?1 and done_at_ms is null",
        args: [id, nowMs, JSON.stringify(result)],
      },
      {
        sql: "update inbox set done_at_ms = ?1, result = ?2 where done_at_ms is null and expires_at_ms <= ?1",
        args: [nowMs, JSON.stringify(LATE)],
      },
      { sql: "delete from inbox where done_at_ms is not null and done_at_ms < ?1", args: [nowMs - KEEP_DONE_MS] },
    ],
    "write",
  );
}

/** For a region whose keeper is away: ends commands that are a minute past their time, forgets those done an hour ago. Repeatable. */
export async function tidyInbox(database: Database, nowMs: number): Promise<{ ended: number; forgotten: number }> {
  const [ended, forgotten] = await database.batch(
    [
      {
        sql: "update inbox set done_at_ms = ?1, result = ?2 where done_at_ms is null and expires_at_ms <= ?3 returning n",
        args: [nowMs, JSON.stringify(LATE), nowMs - LATE_AFTER_MS],
      },
      { sql: "delete from inbox where done_at_ms is not null and done_at_ms < ?1 returning n", args: [nowMs - KEEP_DONE_MS] },
    ],
    "write",
  );
  return { ended: ended?.length ?? 0, forgotten: forgotten?.length ?? 0 };
}

function parseKind(kind: string): CommandKind {
  const known = COMMAND_KINDS.find((one) => one === kind);
  if (known !== undefined) return known;
  throw new PortolanError("internal", `the inbox holds a command of the unknown kind "${kind}"`);
}

function parseResult(text: string): CommandResult {
  const value: CommandResult = JSON.parse(text);
  return value;
}

import { InvalidArgumentError, type Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { type AuditEntry, type AuditHead, CHAIN_START, verifyChain } from "../../registry/audit-chain.ts";
import { formatUtc } from "../../web/format.ts";
import { wholeNumber } from "../arguments.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

/** `portolan audit …`: who changed what in the registry. */
export function registerAudit(program: Command, session: Session): void {
  const audit = program.command("audit").description("who changed what in the registry");
  audit
    .command("ls")
    .description("list the newest changes")
    .option("--limit <count>", "how many", wholeNumber, 50)
    .action(async (options: { readonly limit: number }) => session.finish(await listAudit(session.context(), options.limit)));
  audit
    .command("verify")
    .description("check that no entry was altered, removed or put in")
    .option("--head <seq:hash>", "the end of the log as an earlier check told it: shows also what was cut off since", headOf)
    .action(async (options: { readonly head?: AuditHead }) => session.finish(await verifyAudit(session.context(), options.head ?? null)));
}

async function listAudit(context: Context, limit: number): Promise<number> {
  const api = context.api();
  const rows: AuditEntry[] = [];
  let cursor: string | undefined;
  while (rows.length < limit) {
    const page = await bodyOf(api.v1.audit.$get({ query: { limit: "100", ...(cursor === undefined ? {} : { cursor }) } }));
    rows.push(...page.items);
    if (page.next_cursor === null) break;
    cursor = page.next_cursor;
  }
  context.output.list(rows.slice(0, limit), {
    columns: [
      { title: "no", value: (row) => String(row.seq), isNumber: true },
      { title: "when", value: (row) => formatUtc(row.atMs) },
      { title: "who", value: (row) => row.actor },
      { title: "what", value: (row) => row.action },
      { title: "of", value: (row) => row.key },
    ],
    empty: "Nothing was changed yet.",
  });
  return EXIT.ok;
}

async function verifyAudit(context: Context, known: AuditHead | null): Promise<number> {
  const api = context.api();
  const newestFirst = await allRows((cursor) =>
    bodyOf(api.v1.audit.$get({ query: { limit: "100", ...(cursor === undefined ? {} : { cursor }) } })),
  );
  const entries = newestFirst.toReversed();
  const { head, problem } = await verifyChain(CHAIN_START, entries);
  const held = known === null || known.seq === 0 ? null : entries[known.seq - 1];
  const isCut = known !== null && known.seq > 0 && held?.hash !== known.hash;
  const why = problem ?? (isCut ? `entry ${known.seq} is not the one that was there when --head was told` : null);
  if (why !== null) throw new PortolanError("conflict", `the audit log is broken: ${why}; compare it with a backup`);
  context.output.one({ entries: entries.length, head, whole: true }, [
    `${entries.length} entries, none altered. Keep this to show later that none was cut off: --head ${head.seq}:${head.hash}`,
  ]);
  return EXIT.ok;
}

function headOf(text: string): AuditHead {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined)
    throw new InvalidArgumentError('write it as "audit verify" told it, NUMBER:HASH.');
  return { seq: Number(match[1]), hash: match[2] };
}

import { InvalidArgumentError, type Command } from "commander";
import { formatUtc } from "../../web/format.ts";
import { checkPorts, collectRanges } from "../arguments.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { registerBulk } from "./bulk.ts";
import { registerRuleSet } from "./rule-set.ts";
import { durationS } from "../text.ts";

const EXAMPLES = `
Examples:
  portolan known add 192.0.2.10 -p 80,443 --owner "web team" --reason "public web server"
  portolan known add 192.0.2.0/28 -p 22 --owner it --reason "jump hosts" --expires 90d
  portolan known add 192.0.2.77 --owner lab --reason honeypot --expires 2027-01-31T12:00:00Z

Without ports every port of the addresses is expected. Known-good services are still probed and recorded; lists hide
them and say how many they hide: portolan service ls --known show`;

/** `portolan known …`: services that are expected open. */
export function registerKnown(program: Command, session: Session): void {
  const known = program.command("known").description("services that are expected open, and so hidden from lists");
  known
    .command("add <ranges...>")
    .description("expect ports of addresses to be open")
    .option("-p, --ports <ports>", "only these ports, like 22,80-90,U:53 (default: every port)", checkPorts)
    .requiredOption("--owner <name>", "who answers for it")
    .requiredOption("--reason <text>", "why it is expected")
    .option(
      "--expires <when>",
      "how long it holds, like 12h or 90d, or until when, like 2027-01-31T12:00:00Z (default: for ever)",
      checkExpiry,
    )
    .addHelpText("after", EXAMPLES)
    .action(async (ranges: readonly string[], options: AddOptions) => session.finish(await addRule(session.context(), ranges, options)));
  known
    .command("ls")
    .description("list the known-good rules")
    .action(async () => session.finish(await listRules(session.context())));
  known
    .command("rm <id>")
    .description("delete a rule: lists show again what it hid")
    .action(async (id: string) => {
      const context = session.context();
      const gone = await bodyOf(context.api().v1["known-good"][":id"].$delete({ param: { id } }));
      context.output.one(gone, [`Known-good rule ${gone.deleted} is deleted; lists show again what it hid.`]);
      session.finish(EXIT.ok);
    });
  registerBulk(known, "known-good", session);
  registerRuleSet(known, session, async (context, id, changes) => {
    const rule = await bodyOf(context.api().v1["known-good"][":id"].$patch({ param: { id }, json: changes }));
    context.output.one(rule, [
      `Known-good rule ${rule.id}: ${rule.ports === null ? "" : `ports ${rule.ports} of `}${rule.ranges.join(", ")}.`,
    ]);
    return EXIT.ok;
  });
}

type AddOptions = { readonly ports?: string; readonly reason: string; readonly owner: string; readonly expires?: Expiry };
/** Seconds from now, or a moment. */
type Expiry = { readonly inS: number } | { readonly at: string };

async function addRule(context: Context, given: readonly string[], options: AddOptions): Promise<number> {
  const ranges = given.reduce<string[]>((all, range) => collectRanges(range, all), []);
  const body = {
    ranges,
    ports: options.ports ?? null,
    owner: options.owner,
    reason: options.reason,
    expiresAt: expiryText(options.expires, context.io.now()),
  };
  const rule = await bodyOf(context.api().v1["known-good"].$post({ json: body }));
  const what = rule.ports === null ? "every port" : `ports ${rule.ports}`;
  context.output.one(rule, [`Known-good rule ${rule.id}: ${what} of ${rule.ranges.join(", ")} may be open.`]);
  return EXIT.ok;
}

async function listRules(context: Context): Promise<number> {
  const api = context.api();
  const rules = await allRows((cursor) => bodyOf(api.v1["known-good"].$get({ query: cursor === undefined ? {} : { cursor } })));
  context.output.list(rules, {
    columns: [
      { title: "id", value: (row) => row.id },
      { title: "addresses", value: (row) => row.ranges.join(", ") },
      { title: "ports", value: (row) => row.ports ?? "all" },
      { title: "owner", value: (row) => row.owner },
      { title: "reason", value: (row) => row.reason },
      {
        title: "until",
        value: (row) => (row.expiresAtMs === null ? "" : formatUtc(row.expiresAtMs)),
        tone: (row) => (row.expired ? "quiet" : null),
      },
      { title: "", value: (row) => (row.expired ? "expired" : "") },
    ],
    empty: 'No rule yet. Make one: portolan known add 192.0.2.10 -p 443 --owner "web team" --reason "public web server"',
  });
  return EXIT.ok;
}

function expiryText(expiry: Expiry | undefined, nowMs: number): string | null {
  if (expiry === undefined) return null;
  return "at" in expiry ? expiry.at : new Date(nowMs + expiry.inS * 1_000).toISOString();
}

function checkExpiry(text: string): Expiry {
  const seconds = durationS(text);
  if (seconds !== null) return { inS: seconds };
  const isMoment = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  if (!isMoment || Number.isNaN(Date.parse(text))) throw new InvalidArgumentError("write it like 12h or 90d, or 2027-01-31T12:00:00Z.");
  return { at: new Date(text).toISOString() };
}

import { InvalidArgumentError, type Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { checkPorts, collectRanges } from "../arguments.ts";
import type { Context, Session } from "../context.ts";
import { durationS } from "../text.ts";

/** What a person changes of an exclusion or a known-good rule. */
export type RuleChanges = {
  readonly ranges?: string[];
  readonly ports?: string | null;
  readonly owner?: string;
  readonly reason?: string;
  readonly expiresAt?: string | null;
};
type Options = {
  readonly range?: readonly string[];
  readonly ports?: string | false;
  readonly owner?: string;
  readonly reason?: string;
  readonly for?: number;
  readonly forEver?: true;
};

/** `… set <id>` of exclusions and known-good rules. */
export function registerRuleSet(
  noun: Command,
  session: Session,
  set: (context: Context, id: string, changes: RuleChanges) => Promise<number>,
): void {
  noun
    .command("set <id>")
    .description("change some of it; what is not named stays")
    .option(
      "-r, --range <range>",
      "these ranges replace the present ones; repeat it, or separate with commas",
      (value: string, all: readonly string[] | undefined) => collectRanges(value, all ?? []),
    )
    .option("-p, --ports <ports>", "these ports instead, like 22,80-90,U:53", checkPorts)
    .option("--no-ports", "all ports")
    .option("--reason <text>", "why")
    .option("--owner <name>", "whose it is")
    .option("--for <duration>", "how long it still holds, like 12h or 30d", toSeconds)
    .option("--for-ever", "it does not end")
    .addHelpText(
      "after",
      `\nExample:\n  portolan ${noun.name()} set 7c1e --for 30d --reason "the move takes longer"\n\nIds are those of "portolan ${noun.name()} ls".`,
    )
    .action(async (id: string, options: Options) =>
      session.finish(await set(session.context(), id, changesOf(session.context(), options))),
    );
}

function changesOf(context: Context, options: Options): RuleChanges {
  // commander sets `ports` to true when neither form was given.
  const ports: unknown = options.ports;
  const changes: RuleChanges = {
    ...(options.range === undefined ? {} : { ranges: [...options.range] }),
    ...(typeof ports === "string" ? { ports } : ports === false ? { ports: null } : {}),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
    ...(options.for === undefined ? {} : { expiresAt: new Date(context.io.now() + options.for * 1_000).toISOString() }),
    ...(options.forEver === true ? { expiresAt: null } : {}),
  };
  if (Object.keys(changes).length > 0) return changes;
  throw new PortolanError("invalid", "nothing to change; name --range, --ports, --owner, --reason, --for or --for-ever");
}

function toSeconds(text: string): number {
  const seconds = durationS(text);
  if (seconds === null) throw new InvalidArgumentError("write it like 12h or 30d.");
  return seconds;
}

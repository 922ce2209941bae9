import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { formatUtc, formatWhen } from "../../web/format.ts";
import { checkDuration, collect } from "../arguments.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const ROLES = ["viewer", "operator", "admin", "uploader"] as const;
const EXAMPLES = `
Roles: viewer looks, operator also edits plans, ranges and exclusions and starts jobs, admin also scanners, regions and tokens;
uploader hands in findings and does nothing else.

Examples:
  portolan token add anna --role viewer
  portolan token add nightly-export --role viewer --for 90d`;

/** `portolan token …`: who may ask the API. */
export function registerToken(program: Command, session: Session): void {
  const token = program.command("token").description("tokens of people and programs");
  token
    .command("add <name>")
    .description("make a token; it is shown this once")
    .option("--role <role>", ROLES.join(", "), "viewer")
    .option("--region <region>", "it changes only what belongs to this region; may be repeated", collect, [])
    .option("--group <group>", "it changes only what belongs to this scanner group; may be repeated", collect, [])
    .option("--for <duration>", "how long it is valid, like 90d (default: until it is removed)", checkDuration)
    .addHelpText("after", EXAMPLES)
    .action(async (name: string, options: AddOptions) => session.finish(await addToken(session.context(), name, options)));
  token
    .command("ls")
    .description("list the tokens, without their secrets")
    .action(async () => session.finish(await listTokens(session.context())));
  token
    .command("rm <id>")
    .description("revoke a token")
    .action(async (id: string) => {
      const context = session.context();
      const gone = await bodyOf(context.api().v1.tokens[":id"].$delete({ param: { id } }));
      context.output.one(gone, [`Token ${gone.deleted} is revoked.`]);
      session.finish(EXIT.ok);
    });
}

type AddOptions = { readonly role: string; readonly for?: string; readonly region: readonly string[]; readonly group: readonly string[] };

async function addToken(context: Context, name: string, options: AddOptions): Promise<number> {
  const role = ROLES.find((known) => known === options.role);
  if (role === undefined) throw new PortolanError("invalid", `unknown role "${options.role}"; it is one of ${ROLES.join(", ")}`);
  const token = await bodyOf(
    context.api().v1.tokens.$post({
      json: { name, role, expiresIn: options.for ?? null, regions: scope(options.region), groups: scope(options.group) },
    }),
  );
  context.output.one(token, [token.token]);
  context.output.note(`That is the token of ${name} (${role}). It is shown this once and stored nowhere: keep it safe.`);
  return EXIT.ok;
}

function scope(names: readonly string[]): string[] | null {
  return names.length === 0 ? null : [...names];
}

async function listTokens(context: Context): Promise<number> {
  const api = context.api();
  const tokens = await allRows((cursor) => bodyOf(api.v1.tokens.$get({ query: cursor === undefined ? {} : { cursor } })));
  const nowMs = context.io.now();
  context.output.list(tokens, {
    columns: [
      { title: "id", value: (token) => token.id },
      { title: "name", value: (token) => token.name },
      { title: "role", value: (token) => token.role },
      { title: "for", value: ({ scope: { regions, groups } }) => [...(regions ?? []), ...(groups ?? [])].join(", ") },
      { title: "made", value: (token) => formatWhen(token.createdAtMs, nowMs) },
      { title: "last used", value: (token) => (token.lastUsedAtMs === null ? "" : formatWhen(token.lastUsedAtMs, nowMs)) },
      { title: "until", value: (token) => (token.expiresAtMs === null ? "" : formatUtc(token.expiresAtMs)) },
      { title: "", value: (token) => (token.revokedAtMs === null ? "" : "revoked"), tone: () => "quiet" },
    ],
    empty: "",
  });
  return EXIT.ok;
}

import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { WEBHOOK_EVENTS, type WebhookEvent } from "../../registry/types.ts";
import { collect } from "../arguments.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const EXAMPLES = `
Examples:
  portolan webhook add chat https://example.org/hooks/portolan --event service.opened --event service.reopened
  portolan webhook set chat --disabled
  portolan webhook rotate chat     a new secret; the one before signs for another day

Events: ${WEBHOOK_EVENTS.join(", ")}.`;

type Options = { readonly event?: readonly string[]; readonly to?: string; readonly enabled?: true; readonly disabled?: true };

/** `portolan webhook …`: who is told of what. */
export function registerWebhook(program: Command, session: Session): void {
  const webhook = program.command("webhook").description("programs that are told of news").addHelpText("after", EXAMPLES);
  webhook
    .command("add <name> <url>")
    .description("make a webhook; its secret is shown this once")
    .option("--event <event>", "what it is told of; may be repeated (default: opened, reopened, closed)", collect, [])
    .action(async (name: string, url: string, options: { readonly event: readonly string[] }) => {
      const context = session.context();
      const events =
        options.event.length === 0 ? eventsOf(["service.opened", "service.reopened", "service.closed"]) : eventsOf(options.event);
      const made = await bodyOf(context.api().v1.webhooks.$post({ json: { name, url, events } }));
      session.finish(tell(context, made));
    });
  webhook
    .command("ls")
    .description("list the webhooks")
    .action(async () => session.finish(await listWebhooks(session.context())));
  webhook
    .command("set <name>")
    .description("change a webhook")
    .option("--to <url>", "where to send")
    .option(
      "--event <event>",
      "what it is told of; these replace the present ones",
      (value: string, all: readonly string[] | undefined) => [...(all ?? []), value],
    )
    .option("--enabled", "send again")
    .option("--disabled", "send nothing for now")
    .action(async (name: string, options: Options) => session.finish(await setWebhook(session.context(), name, options)));
  webhook
    .command("rotate <name>")
    .description("make a new secret; the one before signs for another 24 h")
    .action(async (name: string) => {
      const context = session.context();
      session.finish(tell(context, await bodyOf(context.api().v1.webhooks[":name"].secret.$post({ param: { name } }))));
    });
  webhook
    .command("rm <name>")
    .description("delete a webhook")
    .action(async (name: string) => {
      const context = session.context();
      const gone = await bodyOf(context.api().v1.webhooks[":name"].$delete({ param: { name } }));
      context.output.one(gone, [`Webhook ${gone.deleted} is deleted.`]);
      session.finish(EXIT.ok);
    });
}

function tell(context: Context, made: { readonly name: string; readonly secret: string }): number {
  context.output.one(made, [made.secret]);
  context.output.note(`That is the secret of webhook ${made.name}. It is shown this once: give it to the receiver.`);
  return EXIT.ok;
}

async function setWebhook(context: Context, name: string, { to, event, enabled, disabled }: Options): Promise<number> {
  const json = {
    ...(to === undefined ? {} : { url: to }),
    ...(event === undefined ? {} : { events: eventsOf(event) }),
    ...(enabled === true ? { enabled: true } : disabled === true ? { enabled: false } : {}),
  };
  if (Object.keys(json).length === 0) throw new PortolanError("invalid", "nothing to change; name --to, --event, --enabled or --disabled");
  const webhook = await bodyOf(context.api().v1.webhooks[":name"].$patch({ param: { name }, json }));
  context.output.one(webhook, [
    `Webhook ${webhook.name}: ${webhook.enabled ? "" : "disabled; "}${webhook.events.join(", ")} to ${webhook.url}.`,
  ]);
  return EXIT.ok;
}

async function listWebhooks(context: Context): Promise<number> {
  const api = context.api();
  const webhooks = await allRows((cursor) => bodyOf(api.v1.webhooks.$get({ query: cursor === undefined ? {} : { cursor } })));
  context.output.list(webhooks, {
    columns: [
      { title: "webhook", value: (row) => row.name },
      { title: "url", value: (row) => row.url },
      { title: "events", value: (row) => row.events.join(", ") },
      { title: "", value: (row) => (row.enabled ? "" : "disabled"), tone: () => "quiet" },
    ],
    empty: "No webhook yet. Make one: portolan webhook add NAME https://…",
  });
  return EXIT.ok;
}

function eventsOf(texts: readonly string[]): WebhookEvent[] {
  return texts.map((text) => {
    const event = WEBHOOK_EVENTS.find((known) => known === text);
    if (event === undefined) throw new PortolanError("invalid", `"${text}" is no event; it is one of ${WEBHOOK_EVENTS.join(", ")}`);
    return event;
  });
}

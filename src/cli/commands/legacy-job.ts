import type { Command } from "commander";
import { formatUtc, formatWhen } from "../../web/format.ts";
import { PortolanError } from "../../core/errors.ts";
import { checkDuration } from "../arguments.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const HELP = `
For scripts of the program that Portolan replaces, which fetch GET /jobs and answer with PUT /results/NUMBER. What they find can open services and
never close one; "portolan plan add" makes scans that can.

  portolan legacy-job add 192.0.2.0/24 -p 1-1024 --for 7d`;

type AddOptions = { readonly ports: string; readonly proto: string; readonly for?: string };

/** `portolan legacy-job …`: jobs that scripts of the old program fetch. */
export function registerLegacyJob(program: Command, session: Session): void {
  const job = program.command("legacy-job").description("jobs for scripts of the old program");
  job
    .command("add <range>")
    .description("offer a range to the old scripts of this region")
    .requiredOption("-p, --ports <ports>", "ports, like 22,80,1000-2000")
    .option("--proto <protocol>", "tcp, udp or sctp", "tcp")
    .option("--for <duration>", "how long it is offered, like 7d (default: until results come)", checkDuration)
    .addHelpText("after", HELP)
    .action(async (range: string, options: AddOptions) => session.finish(await addJob(session.context(), range, options)));
  job
    .command("ls")
    .description("list them")
    .action(async () => session.finish(await listJobs(session.context())));
  job
    .command("rm <number>")
    .description("call one off")
    .action(async (number: string) => {
      const context = session.context();
      const gone = await bodyOf(context.api().v1["legacy-jobs"][":number"].$delete({ param: { number } }));
      context.output.one(gone, [`Job ${gone.deleted} is called off.`]);
      session.finish(EXIT.ok);
    });
}

async function addJob(context: Context, cidr: string, options: AddOptions): Promise<number> {
  const protocol = (["tcp", "udp", "sctp"] as const).find((known) => known === options.proto);
  if (protocol === undefined) throw new PortolanError("invalid", `unknown protocol "${options.proto}"; it is one of tcp, udp, sctp`);
  const json = { cidr, ports: options.ports, protocol, expiresIn: options.for ?? null };
  const job = await bodyOf(context.api().v1["legacy-jobs"].$post({ json }));
  context.output.one(job, [`Job ${job.number} is listed at GET /jobs of this region: ${job.cidr}, ports ${job.ports}/${job.protocol}.`]);
  return EXIT.ok;
}

async function listJobs(context: Context): Promise<number> {
  const api = context.api();
  const jobs = await allRows((cursor) => bodyOf(api.v1["legacy-jobs"].$get({ query: cursor === undefined ? {} : { cursor } })));
  const nowMs = context.io.now();
  context.output.list(jobs, {
    columns: [
      { title: "number", value: (job) => String(job.number) },
      { title: "range", value: (job) => job.cidr },
      { title: "ports", value: (job) => `${job.ports}/${job.protocol}` },
      { title: "state", value: (job) => job.state },
      { title: "by", value: (job) => job.requestedBy },
      { title: "made", value: (job) => formatWhen(job.createdAtMs, nowMs) },
      { title: "until", value: (job) => (job.expiresAtMs === null ? "" : formatUtc(job.expiresAtMs)) },
    ],
    empty: "No jobs for old scripts.",
  });
  return EXIT.ok;
}

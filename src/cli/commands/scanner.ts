import type { Command } from "commander";
import { formatWhen, shortId } from "../../web/format.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { registerBulk } from "./bulk.ts";
import type { Column, Tone } from "../output.ts";
import { registerScannerAdd } from "./scanner-add.ts";
import { registerScannerRun } from "./scanner-run.ts";
import { registerScannerSet } from "./scanner-set.ts";

/** `portolan scanner …`: the machines that send probes. */
export function registerScanner(program: Command, session: Session): void {
  const scanner = program.command("scanner").description("machines that send probes");
  registerScannerAdd(scanner, session);
  registerScannerRun(scanner, session);
  scanner
    .command("ls")
    .description("list the scanners, what they do, and why one does nothing")
    .action(async () => session.finish(await listScanners(session.context())));
  scanner
    .command("rm <name>")
    .description("delete a scanner: it gets no further work, its reports stay")
    .action(async (name: string) => {
      const context = session.context();
      const gone = await bodyOf(context.api().v1.scanners[":name"].$delete({ param: { name } }));
      context.output.one(gone, [`Scanner ${gone.deleted} is deleted and gets no further work.`]);
      session.finish(EXIT.ok);
    });
  registerBulk(scanner, "scanners", session);
  registerScannerSet(scanner, session);
}

type Live = {
  readonly seenAtMs: number;
  readonly silent: boolean;
  readonly engines: readonly string[];
  readonly notReady: string | null;
  readonly running: { readonly job: string; readonly tile: number; readonly shard: number } | null;
};
type Row = {
  readonly name: string;
  readonly region: string;
  readonly addresses: readonly string[];
  readonly enabled: boolean;
  readonly live: Live | null;
};

async function listScanners(context: Context): Promise<number> {
  const api = context.api();
  const scanners = await allRows((cursor) => bodyOf(api.v1.scanners.$get({ query: cursor === undefined ? {} : { cursor } })));
  const nowMs = context.io.now();
  const columns: Column<Row>[] = [
    { title: "scanner", value: (row) => row.name },
    { title: "region", value: (row) => row.region },
    { title: "state", value: (row) => stateOf(row).word, tone: (row) => stateOf(row).tone },
    { title: "heard", value: (row) => (row.live === null ? "never" : formatWhen(row.live.seenAtMs, nowMs)) },
    { title: "engines", value: (row) => row.live?.engines.join(", ") ?? "" },
    { title: "address", value: (row) => row.addresses.join(", ") },
    { title: "doing", value: doingOf },
  ];
  context.output.list<Row>(scanners, {
    columns,
    empty: 'No scanner yet. "npm start" registers this machine; for another one: portolan scanner add NAME --address A --region R',
  });
  return EXIT.ok;
}

function stateOf({ enabled, live }: Row): { readonly word: string; readonly tone: Tone } {
  if (!enabled) return { word: "disabled", tone: "quiet" };
  if (live === null) return { word: "never heard", tone: "warn" };
  if (live.silent) return { word: "silent", tone: "bad" };
  if (live.engines.length === 0) return { word: "not ready", tone: "bad" };
  if (live.running !== null) return { word: "scanning", tone: "good" };
  return live.engines.includes("masscan") ? { word: "ready", tone: "good" } : { word: "connect only", tone: "warn" };
}

function doingOf({ live }: Row): string {
  if (live === null || live.silent) return "";
  if (live.running !== null) return `job ${shortId(live.running.job)} tile ${live.running.tile} shard ${live.running.shard}`;
  return live.notReady ?? "";
}

import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const EXAMPLES = `
Examples:
  portolan scanner set berlin-1 --disabled
  portolan scanner set berlin-1 --may-probe office --may-probe dmz     nothing outside of these range groups
  portolan scanner set tokyo-2 --may-not-probe printers

What it may probe counts from the next job on: tiles are cut so that all scanners of a tile may probe all of it.`;

type Options = {
  readonly address?: readonly string[];
  readonly key?: string;
  readonly enabled?: true;
  readonly disabled?: true;
  readonly mayProbe?: readonly string[];
  readonly mayProbeAll?: true;
  readonly mayNotProbe?: readonly string[];
  readonly mayNotProbeNone?: true;
};

/** `portolan scanner set`: changes a scanner. */
export function registerScannerSet(scanner: Command, session: Session): void {
  const collect = (value: string, all: readonly string[] = []): string[] => [...all, value];
  scanner
    .command("set <name>")
    .description("change a scanner: addresses, key, enabled, what it may probe")
    .option("-a, --address <address>", "address it probes from; these replace the present ones", collect)
    .option("--key <key>", "its new public key (U…)")
    .option("--enabled", "give it work again")
    .option("--disabled", "give it no further work")
    .option("--may-probe <group>", "range group outside of which it probes nothing; may be repeated", collect)
    .option("--may-probe-all", "no such bound any more")
    .option("--may-not-probe <group>", "range group of which it probes nothing; may be repeated", collect)
    .option("--may-not-probe-none", "no such exception any more")
    .addHelpText("after", EXAMPLES)
    .action(async (name: string, options: Options) => session.finish(await setScanner(session.context(), name, options)));
}

async function setScanner(context: Context, name: string, options: Options): Promise<number> {
  const json = {
    ...(options.address === undefined ? {} : { addresses: [...options.address] }),
    ...(options.key === undefined ? {} : { publicKey: options.key }),
    ...(options.enabled === true ? { enabled: true } : options.disabled === true ? { enabled: false } : {}),
    ...(options.mayProbeAll === true ? { mayProbe: null } : options.mayProbe === undefined ? {} : { mayProbe: [...options.mayProbe] }),
    ...(options.mayNotProbeNone === true
      ? { mayNotProbe: [] }
      : options.mayNotProbe === undefined
        ? {}
        : { mayNotProbe: [...options.mayNotProbe] }),
  };
  if (Object.keys(json).length === 0) throw new PortolanError("invalid", `nothing to change; see "portolan scanner set --help"`);
  const scanner = await bodyOf(context.api().v1.scanners[":name"].$patch({ param: { name }, json }));
  const may = scanner.mayProbe === null ? "everything" : scanner.mayProbe.join(", ") || "nothing";
  const mayNot = scanner.mayNotProbe.length === 0 ? "" : `, but not ${scanner.mayNotProbe.join(", ")}`;
  context.output.one(scanner, [`Scanner ${scanner.name}: ${scanner.enabled ? "enabled" : "disabled"}, may probe ${may}${mayNot}.`]);
  return EXIT.ok;
}

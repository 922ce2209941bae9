import { Command, InvalidArgumentError } from "commander";

/** What the demo was asked for. */
export type DemoOptions = {
  /** End after the last phase instead of staying up for a look at the pages. */
  readonly once: boolean;
  /** One JSON document on standard output and nothing else. */
  readonly json: boolean;
  /** Folder for truth files, the lab's own lists of probes and exports, per phase. */
  readonly evidence?: string;
  /** Folder for the regions' data and logs, kept afterwards; otherwise a temporary one. */
  readonly dir?: string;
  readonly seed: number;
  /** A quarter of the addresses. */
  readonly small: boolean;
  /** Loopback listeners even where a lab can be had. */
  readonly loopback: boolean;
};

function parseSeed(text: string): number {
  const seed = Number(text);
  if (!/^\d{1,10}$/.test(text) || seed < 1 || seed > 0xffff_ffff) throw new InvalidArgumentError("use a number from 1 to 4294967295.");
  return seed;
}

/** Reads the command line; ends the process with a message when it is wrong. */
export function readOptions(argv: readonly string[]): DemoOptions {
  return new Command("npm run demo --")
    .description(
      "Shows the main job on real traffic: real masscan in network namespaces against a lab whose truth is known, in three regions on this machine.",
    )
    .option("--once", "end after the last phase", false)
    .option("--json", "print one JSON document with what was expected and what was found", false)
    .option("--evidence <folder>", "leave truth files, the lab's lists of probes and exports there")
    .option("--dir <folder>", "keep the regions' data and logs there; default: a temporary folder")
    .option("--seed <number>", "seed of the lab's truth", parseSeed, 20_260)
    .option("--small", "the same with 1,024 addresses instead of 4,096", false)
    .option("--loopback", "use TCP connects against loopback listeners even if a lab can be had", false)
    .parse(argv)
    .opts<DemoOptions>();
}

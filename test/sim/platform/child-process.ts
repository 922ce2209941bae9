import { SimulatedChild } from "../child.ts";
import { simulation } from "../engine.ts";
import { programNamed } from "../programs.ts";

export type { ChildProcess, ChildProcessWithoutNullStreams } from "node:child_process";

/** `node:child_process`: `setpriv --pdeathsig KILL <program> …` as the scanner starts everything. */
export function spawn(_setpriv: string, args: readonly string[], options: { readonly cwd?: string }): SimulatedChild {
  const owner = simulation().owner();
  const child = new SimulatedChild(simulation(), owner);
  const argv = args.slice(2);
  if (owner.alive) child.run(argv, options.cwd ?? "/", programNamed(argv));
  return child;
}

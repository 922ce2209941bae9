import { labProblem } from "../../src/local/lab/probe.ts";
import { LAB_PORTS } from "../../src/local/lab/lab.ts";
import { falseCloseTable, measureFalseCloses, type FalseCloseRow } from "../lab/false-close.ts";
import { withLabLock } from "../lab/lock.ts";
import type { BenchLine, BenchResult } from "./result.ts";

const LOSS_PERCENTS = [1, 5];
const ROUNDS = 10;
const SERVICES_PER_POLICY = 1_000;
const POLICIES = [false, true].flatMap((confirm) => [1, 2, 3].map((closeAfter) => ({ closeAfter, confirm })));

function lineOf({ lossPercent, closeAfter, confirm, physical, looks }: FalseCloseRow): BenchLine {
  const what = `${lossPercent} % loss, closeAfter ${closeAfter}, confirm ${confirm ? "on" : "off"}: closed wrongly, of 100 looks`;
  return { what, value: (physical / looks) * 100, unit: "", budget: null };
}

/** How often loss alone closes living services, by policy: real masscan, a real region, SYNs dropped at random. Throws where no lab can be had. */
export async function benchFalseClose(): Promise<BenchResult> {
  const problem = await labProblem();
  if (problem !== null) throw new Error(`bench false-close needs a lab of network namespaces: ${problem}`);
  const spec = { policies: POLICIES, lossPercents: LOSS_PERCENTS, rounds: ROUNDS, servicesPerPolicy: SERVICES_PER_POLICY };
  const rows = await withLabLock("tests", () => measureFalseCloses({ ...spec, ports: LAB_PORTS, scanners: 6 }));
  const structural = rows.reduce((sum, row) => sum + row.structural, 0);
  return {
    bench: `false-close: ${SERVICES_PER_POLICY} living services for each policy, ${ROUNDS} complete jobs, retries 0`,
    lines: [...rows.map(lineOf), { what: "structural false closes", value: structural, unit: "", budget: { atMost: 0 } }],
    notes: [
      "a look: one service in one complete job; chance: what independent loss gives without a confirm",
      ...falseCloseTable(rows).split("\n"),
    ],
  };
}

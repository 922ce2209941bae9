import { parseArgs } from "node:util";
import { labProblem } from "../../src/local/lab/probe.ts";
import { campaign, holds } from "./campaign.ts";
import { VICTIMS } from "./kills.ts";

// npm run kills -- --count 25 [--engine connect|masscan] [--seed N] [--victims nats,ledger]

const { values } = parseArgs({
  options: {
    count: { type: "string", default: process.env["PORTOLAN_KILLS"] ?? "25" },
    engine: { type: "string" },
    victims: { type: "string", default: VICTIMS.join() },
    seed: { type: "string", default: String(1 + (Date.now() % 1_000_000)) },
  },
});
const problem = await labProblem();
if (problem !== null && values.engine !== "connect")
  console.error(`no lab (${problem}): the connect engine against loopback listeners instead`);
const engine = values.engine === "connect" || problem !== null ? "connect" : "masscan";
const victims = VICTIMS.filter((victim) => values.victims.split(",").includes(victim));
const seed = Number(values.seed);
console.error(`kills: ${values.count} with the ${engine} engine, seed ${seed}`);
const result = await campaign({ engine, seed, count: Number(values.count), victims, say: (line) => console.error(line) });
console.log(JSON.stringify({ engine, ...result }, null, 2));
process.exit(holds(result) ? 0 : 1);

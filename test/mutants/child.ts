import { plant } from "./hooks.ts";
import { type KillerName, MUTANTS } from "./list.ts";
import type { Killer } from "./killer.ts";

// One mutant in a process of its own: node test/mutants/child.ts <killer> <index of the mutant, or -1> <histories>.
// Prints what was found, or nothing when everything is as the rules want it.
const [name = "", index = "-1", histories = "400"] = process.argv.slice(2);
const mutant = MUTANTS[Number(index)];
if (mutant !== undefined && mutant.file !== null) plant({ ...mutant, file: mutant.file });

const KILLERS: Readonly<Record<KillerName, () => Promise<Killer>>> = {
  acceptance: async () => (await import("./acceptance.ts")).acceptanceKiller,
  confirmation: async () => (await import("./confirmation.ts")).confirmationKiller,
  log: async () => (await import("./log.ts")).logKiller,
  tiles: async () => (await import("./tiles.ts")).tilesKiller,
  weak: () => historiesUnder({ closeAfter: 1, confirm: false }),
  chain: () => historiesUnder({ closeAfter: 2, confirm: false }),
  confirm: () => historiesUnder({ closeAfter: 1, confirm: true }),
};

async function historiesUnder(policy: { closeAfter: number; confirm: boolean }): Promise<Killer> {
  return (await import("./histories.ts")).historiesKiller(policy, Number(histories));
}

const isKiller = (text: string): text is KillerName => Object.hasOwn(KILLERS, text);
if (!isKiller(name)) throw new Error(`"${name}" is no killer`);
const killer = await KILLERS[name]();
let changed = false;
const found = await killer((sql) => {
  if (mutant === undefined || mutant.file !== null) return sql;
  changed ||= sql.includes(mutant.from);
  return sql.replaceAll(mutant.from, mutant.to);
});
if (mutant?.file === null && !changed) throw new Error(`no SQL contains what the mutant changes: ${mutant.from}`);
if (found !== null) console.info(found);

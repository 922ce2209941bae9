import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runCommand } from "../../src/local/lab/command.ts";
import { createLab, LAB_PORTS, type Lab } from "../../src/local/lab/lab.ts";
import { uniqueLabName } from "../../src/local/lab/probe.ts";
import { choose, openKeys, pairOf, writeTruthFile, xorshift32, type LabPair } from "../../src/local/lab/truth.ts";
import { labTest, SMALL } from "./lab-test.ts";

/** One connect from the first scanner's namespace: what the lab really answers. */
async function ask(lab: Lab, pair: LabPair): Promise<string> {
  const script = `const s=require("node:net").connect({host:${JSON.stringify(pair.address)},port:${pair.port},timeout:400});
    const end=(word)=>{console.log(word);process.exit(0)};
    s.on("connect",()=>end("open"));s.on("timeout",()=>end("filtered"));s.on("error",(e)=>end(e.code==="ECONNREFUSED"?"closed":e.code));`;
  const place = lab.scanners[0];
  return (await runCommand([...(place?.launcher ?? []), process.execPath, "-e", script])).trim();
}

function only<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined) throw new Error("the lab has no such pair");
  return item;
}

labTest("a pair is open, filtered or closed as the truth says, and changes with it", SMALL, async (lab) => {
  const listed = (state: string): LabPair => pairOf(only(only([[...lab.truth].filter(([, is]) => is === state)]))[0]);
  const open = listed("open");
  const open6 = pairOf(only([...openKeys(lab.truth)].filter((key) => key.includes(":"))));
  const filtered = listed("filtered");
  expect(await ask(lab, open)).toBe("open");
  expect(await ask(lab, open6)).toBe("open");
  expect(await ask(lab, filtered)).toBe("filtered");
  await lab.close([open, open6]);
  await lab.open([filtered]);
  expect(await ask(lab, open)).toBe("closed");
  expect(await ask(lab, open6)).toBe("closed");
  expect(await ask(lab, filtered)).toBe("open");
  await lab.filter([open]);
  expect(await ask(lab, open)).toBe("filtered");
  const folder = await mkdtemp(join(tmpdir(), "portolan-truth-"));
  try {
    await writeTruthFile(join(folder, "truth.tsv"), lab.truth);
    const lines = (await readFile(join(folder, "truth.tsv"), "utf8")).split("\n");
    expect(lines).toContain(`${open.address}\t${open.port}\tfiltered`);
    expect(lines).toContain(`${filtered.address}\t${filtered.port}\topen`);
    expect(lines.some((line) => line.startsWith(`${open6.address}\t${open6.port}\t`))).toBe(false);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

labTest("loss of all probes makes every pair look filtered, and ends", SMALL, async (lab) => {
  const open = pairOf(only([...openKeys(lab.truth)]));
  await lab.loss(100);
  expect(await ask(lab, open)).toBe("filtered");
  await lab.loss(0);
  expect(await ask(lab, open)).toBe("open");
});

labTest("the target has no way out, and the host is not reached from the lab", SMALL, async (lab) => {
  const target = ["ip", "netns", "exec", `${lab.name}-tgt`];
  expect(await runCommand([...target, "ip", "route", "show", "default"])).toBe("");
  expect(await runCommand([...target, "ip", "-6", "route", "show", "default"])).toBe("");
  const links = await runCommand([...target, "ip", "-o", "link", "show"]);
  expect(links.trim().split("\n")).toHaveLength(2);
});

labTest("another lab of the same machine keeps its own truth, and a removed one leaves nothing", SMALL, async (lab) => {
  const other = await createLab({ ...SMALL, name: uniqueLabName("u") });
  try {
    const open = pairOf(only([...openKeys(lab.truth)]));
    expect([...other.truth]).toEqual([...lab.truth]);
    await other.close([open]);
    expect(await ask(other, open)).toBe("closed");
    expect(await ask(lab, open)).toBe("open");
  } finally {
    await other.destroy();
  }
  await other.destroy();
  expect(await runCommand(["ip", "netns", "list"])).not.toContain(other.name);
  expect(await runCommand(["ip", "netns", "list"])).toContain(lab.name);
});

test("a lab that does not fit is refused by name", async () => {
  await expect(createLab({ ...SMALL, name: "Has Spaces" })).rejects.toThrow('lab name "Has Spaces"');
  await expect(createLab({ ...SMALL, name: "big", prefix4: 8 })).rejects.toThrow("prefix4 8: use 16 to 28");
  await expect(createLab({ ...SMALL, name: "big", prefix4: 28, open4: 10_000 })).rejects.toThrow("too small");
});

test("the same seed always draws the same", () => {
  const draw = (): number[] => choose([...LAB_PORTS], 5, xorshift32(3));
  expect(draw()).toEqual(draw());
  expect(choose([...LAB_PORTS], 5, xorshift32(4))).not.toEqual(draw());
});

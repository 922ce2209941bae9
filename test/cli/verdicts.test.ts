import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Evidence, startEvidence } from "../api/evidence.ts";
import { JOB_ID } from "../api/harness.ts";
import { type TestCli, startTestCli } from "./harness.ts";

let cli: TestCli;
let evidence: Evidence;
beforeAll(async () => {
  [cli, evidence] = await Promise.all([startTestCli(), startEvidence()]);
  const { ledger } = evidence;
  Object.assign(cli.api.ledger, {
    why: ledger.why,
    listChanges: ledger.listChanges,
    diff: ledger.diff,
    openAt: ledger.openAt,
    labels: ledger.labels,
  });
});
afterAll(async () => {
  evidence?.close();
  await cli?.close();
});

test("why explains a closed port in words, under both names of the command", async () => {
  for (const noun of ["service", "services"]) {
    const ran = await cli.portolan(`${noun} why 192.0.2.5 22/tcp`);
    expect(ran.exitCode).toBe(0);
    for (const words of ["192.0.2.5 22/tcp", "Closed: 2 complete looks in sequence", "Last seen open", "Missed by", "Confirmed by"])
      expect(ran.stdout).toContain(words);
  }
  expect((await cli.portolan("service why 192.0.2.99 22")).exitCode).toBe(4);
  expect((await cli.portolan("service why 192.0.2.5 ssh")).exitCode).toBe(2);
});

test("a certificate is valid as it was given, and any change of it is found and named, with exit code 1", async () => {
  const file = join(cli.cwd, "certificate.json");
  const { stdout } = await cli.portolan("service why 192.0.2.5 22 --json");
  writeFileSync(file, stdout);
  expect(await cli.portolan("certificate check certificate.json")).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("is closed"),
  });
  writeFileSync(file, stdout.replace('"confirm":true', '"confirm":false'));
  const forged = await cli.portolan("certificate check certificate.json");
  expect(forged.exitCode).toBe(1);
  expect(forged.stdout).toContain("its id is not the hash of its content");
  expect(forged.stderr).toContain("Not valid");
  expect(JSON.parse((await cli.portolan("certificate check certificate.json --json")).stdout)).toMatchObject({ ok: false });
  writeFileSync(file, "{}");
  expect((await cli.portolan("certificate check certificate.json")).exitCode).toBe(1);
  writeFileSync(file, "no json");
  expect((await cli.portolan("certificate check certificate.json")).exitCode).toBe(2);
  expect((await cli.portolan("certificate check nowhere.json")).exitCode).toBe(2);
});

test("changes list what happened with its cause, by kind, and change ls is the same", async () => {
  const all = await cli.portolan("changes");
  expect(all.stdout).toContain("first-observed");
  expect(all.stdout).toMatch(/closed +192\.0\.2\.5 +22\/tcp.*probe [0-9a-f]{12}/);
  expect((await cli.portolan("change ls")).stdout).toBe(all.stdout);
  const closed = JSON.parse((await cli.portolan("changes --kind closed --json")).stdout) as { items: unknown[] };
  expect(closed.items).toHaveLength(1);
  expect((await cli.portolan("changes --kind closed --fail-on-findings -q")).exitCode).toBe(1);
  expect((await cli.portolan("changes --kind gone")).exitCode).toBe(2);
});

test("changes can be followed until Ctrl-C: each once, the oldest first", async () => {
  const interrupt = new AbortController();
  let pauses = 0;
  // Several looks: a second one must not tell the same again.
  const sleep = async (): Promise<void> => {
    pauses += 1;
    if (pauses === 3) interrupt.abort();
  };
  const ran = await cli.portolan("changes --follow --ndjson", { signal: interrupt.signal, sleep });
  expect(pauses).toBe(3);
  const numbers = ran.stdout
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as { n: number }).n);
  expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
  expect(numbers.length).toBeGreaterThan(5);
  expect(ran.exitCode).toBe(130);
});

test("diff ends with 1 when something appeared or disappeared, with 0 when nothing did, and takes times and ages", async () => {
  const { clock } = cli.api.store;
  clock.nowMs = Math.max(clock.nowMs, evidence.nowMs);
  const seen = new Date(1_700_000_000_000 + 3_700_000).toISOString();
  const gone = await cli.portolan(["diff", seen, "now"]);
  expect(gone.stdout).toMatch(/disappeared +192\.0\.2\.5 +22\/tcp/);
  expect(gone.exitCode).toBe(1);
  expect((await cli.portolan("diff now now")).exitCode).toBe(0);
  expect((await cli.portolan("diff soon now")).exitCode).toBe(2);
  expect((await cli.portolan(["service", "ls", "--as-of", seen])).stdout).toContain("192.0.2.5");
});

test("pause, resume and release ask the keeper, and a viewer may not", async () => {
  const asked: string[] = [];
  const usual = cli.api.ledger.submitCommand;
  cli.api.ledger.submitCommand = async (kind, body) => {
    asked.push(`${kind} ${JSON.stringify(body)}`);
    return "command";
  };
  try {
    expect((await cli.portolan(`job pause ${JOB_ID}`)).stdout).toContain("portolan job resume");
    expect((await cli.portolan(`job release ${JOB_ID} --tile 3`)).exitCode).toBe(0);
    expect((await cli.portolan(`job release ${JOB_ID}`)).exitCode).toBe(0);
    // It is not paused, so there is nothing to ask for.
    expect((await cli.portolan(`job resume ${JOB_ID}`)).exitCode).toBe(0);
    expect((await cli.portolan(`job pause ${JOB_ID}`, { role: "viewer" })).exitCode).toBe(3);
  } finally {
    cli.api.ledger.submitCommand = usual;
  }
  expect(asked).toEqual([
    `pause-job {"job":"${JOB_ID}","by":"admin"}`,
    `release-tile {"job":"${JOB_ID}","tile":3,"by":"admin"}`,
    `release-tile {"job":"${JOB_ID}","tile":null,"by":"admin"}`,
  ]);
});

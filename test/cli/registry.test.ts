import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startTestCli, type TestCli } from "./harness.ts";

let cli: TestCli;

beforeAll(async () => {
  cli = await startTestCli();
});

afterAll(async () => {
  await cli?.close();
});

async function ok(args: string | readonly string[]): Promise<string> {
  const ran = await cli.portolan(args);
  expect([args, ran.exitCode, ran.stderr]).toEqual([args, 0, expect.any(String)]);
  return ran.stdout;
}

test("a list goes out to a file and comes in from one, after a rehearsal that changes nothing", async () => {
  const { registry } = cli.api.store;
  const file = join(cli.cwd, "ranges.csv");
  writeFileSync(file, "group,range\noffice,192.0.2.0/25\noffice,2001:db8::/120\n");
  const { version } = await registry.state();
  const rehearsal = await ok(["range", "import", file, "--dry-run"]);
  expect(rehearsal).toContain("1 would be added");
  expect((await registry.state()).version).toBe(version);
  expect(await ok(["range", "import", file])).toContain("1 added, 0 changed, 0 removed, 0 unchanged, 0 lines refused.");
  expect(await ok("range export")).toBe("range,group\n192.0.2.0/25,office\n2001:db8::/120,office\n");
  expect(JSON.parse(await ok(["--json", "range", "import", file]))).toMatchObject({ unchanged: 1, written: false });
  const excludes = join(cli.cwd, "exclude.txt");
  writeFileSync(excludes, "192.0.2.7 # printer\n192.0.2.9\n");
  await ok(["exclude", "import", excludes, "--owner", "it", "--reason", "told so"]);
  expect(await ok("exclude export --format txt")).toBe("192.0.2.7\n192.0.2.9\n");
  writeFileSync(excludes, "192.0.2.7/24\n");
  const refused = await cli.portolan(["exclude", "import", excludes, "--owner", "it", "--reason", "r", "--dry-run"]);
  expect([refused.exitCode, refused.stdout]).toEqual([2, expect.stringContaining("line 1:")]);
  expect((await cli.portolan(["exclude", "import", join(cli.cwd, "nosuch.txt")])).stderr).toContain("cannot read");
});

test("plans run by cron, scanners get bounds, rules are changed in place", async () => {
  await ok("plan add nightly --include office -p 80 --no-start".split(" "));
  expect(await ok(["plan", "set", "nightly", "--cron", "30 3 * * 1-5", "--time-zone", "Europe/Berlin"])).toContain(
    "cron 30 3 * * 1-5 (Europe/Berlin)",
  );
  expect(await ok("plan ls")).toContain("cron 30 3 * * 1-5 (Europe/Berlin)");
  expect(await ok("plan set nightly --every 6h")).toContain("every 6");
  expect(await ok("scanner set de01 --may-probe office")).toContain("may probe office.");
  expect(await ok("scanner set de01 --may-probe-all")).toContain("may probe everything.");
  const { id } = JSON.parse(await ok(["--json", "known", "add", "192.0.2.3", "-p", "443", "--reason", "web", "--owner", "it"])) as {
    id: string;
  };
  expect(await ok(["known", "set", id, "--ports", "80,443"])).toContain("ports 80,443 of 192.0.2.3");
  expect(JSON.parse(await ok(["--json", "known", "set", id, "--no-ports"]))).toMatchObject({ id, ports: null, owner: "it" });
  expect((await cli.portolan(["known", "set", id])).exitCode).toBe(2);
});

test("the audit log is listed and checked; an altered entry and a cut log are found", async () => {
  expect(await ok("audit ls --limit 5")).toContain("known-good.change");
  const { head } = JSON.parse(await ok("--json audit verify")) as { head: { seq: number; hash: string } };
  await ok(["audit", "verify", "--head", `${head.seq}:${head.hash}`]);
  const client = createClient({ url: cli.api.store.sqld.url });
  try {
    await client.execute(`delete from audit where seq = ${head.seq}`);
    expect((await cli.portolan("audit verify")).exitCode).toBe(0);
    const cut = await cli.portolan(["audit", "verify", "--head", `${head.seq}:${head.hash}`]);
    expect([cut.exitCode, cut.stderr]).toEqual([2, expect.stringContaining(`entry ${head.seq}`)]);
    await client.execute("update audit set actor = 'nobody' where seq = 2");
    expect((await cli.portolan("audit verify")).stderr).toContain("entry 2");
  } finally {
    client.close();
  }
});

test("webhooks and scoped tokens are made, changed and taken away; secrets are shown once", async () => {
  const secret = (await ok(["webhook", "add", "chat", "https://example.org/x", "--event", "service.opened"])).trim();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{32}$/);
  expect(await ok("webhook ls")).not.toContain(secret);
  const fresh = (await ok("webhook rotate chat")).trim();
  expect(fresh).not.toBe(secret);
  expect((await cli.api.store.registry.state()).webhooks[0]?.secrets.map((held) => held.secret)).toEqual([fresh, secret]);
  expect(await ok("webhook set chat --disabled")).toContain("disabled");
  await ok("webhook rm chat");
  expect((await cli.portolan("webhook add lan http://example.org/x")).exitCode).toBe(2);
  expect((await cli.portolan("webhook add me https://127.0.0.1/x")).exitCode).toBe(2);
  await ok("token add ci --role uploader --region eu");
  expect(await ok("token ls")).toMatch(/ci +uploader +eu/);
});

import { afterAll, beforeAll, expect, test } from "vitest";
import { publicKey } from "../registry/harness.ts";
import { startTestCli, type Ran, type TestCli } from "./harness.ts";

// Planning only: no scanner and no keeper runs here, the plans are disabled or never saved, and nothing can send a packet.

let cli: TestCli;
beforeAll(async () => {
  cli = await startTestCli();
});
afterAll(() => cli.close());

const json = (ran: Ran): Record<string, unknown> => JSON.parse(ran.stdout) as Record<string, unknown>;
const ok = async (args: string | readonly string[]): Promise<Ran> => {
  const ran = await cli.portolan(args);
  expect([args, ran.exitCode, ran.stderr]).toEqual([args, 0, ran.stderr]);
  return ran;
};

/** One of the 512 addresses is left out; two ports of each of the others. */
const EXAMPLE = {
  plan: "cf",
  ok: true,
  problems: [],
  addresses: 511,
  pairs: 1_022,
  probes: 1_022,
  job: {
    tiles: 1,
    shards: 1,
    networks: 2,
    perHostMax: 2,
    engines: ["connect"],
    scanners: [{ scanner: "linode-de01", region: "eu", shards: 1, pairs: 1_022, probes: 1_022, expectedS: 11 }],
  },
  cuts: [{ kind: "range-group", key: "CF-Exclude", ports: null, addresses: 1, pairs: 2 }],
  unprobeable: { ranges: [], addresses: 0 },
};

test("the note's own example, by the command line: its ranges, its scanner, its group, and what a plan of them would mean", async () => {
  await ok("range add doc-prefix 192.0.2.0/24");
  // The note writes 173.245.58.0/23; that is the network 173.245.58.0 to 173.245.59.255.
  await ok("range add CF-Anycast 173.245.58.0/23");
  await ok("range add CF-Exclude 173.245.58.59/32");
  await cli.api.store.registry.addScanner({ name: "linode-de01", region: "eu", addresses: ["192.0.2.1"], publicKey: publicKey(7) });
  await ok("group add all linode-de01");
  const plan = "cf --include CF-Anycast --exclude CF-Exclude -p 80,443 --group all --rate 100";
  const previewed = await ok(`plan add ${plan} --json --dry-run`);
  expect(previewed.sent.filter((line) => !line.startsWith("GET"))).toEqual(["POST /v1/plans/preview"]);
  expect(json(previewed)).toMatchObject(EXAMPLE);
  expect((await cli.api.store.registry.state()).plans).toEqual([]);
  const shown = await ok(`plan add ${plan} --dry-run`);
  expect(shown.stdout).toContain("range-group CF-Exclude: 1 addresses, 2 pairs");
});

test("the same through the API, saved but disabled: target set, tiles and preview, and no job", async () => {
  const { api } = cli;
  const input = {
    name: "cf-api",
    include: ["CF-Anycast"],
    exclude: ["CF-Exclude"],
    ports: "80,443",
    group: "all",
    rateLimitPps: 100,
    enabled: false,
  };
  const before = await (await api.ask("POST", "/v1/plans/preview", { body: input, role: "viewer" })).json();
  expect(before).toMatchObject({ ...EXAMPLE, plan: "cf-api" });
  expect((await api.ask("POST", "/v1/plans", { body: input })).status).toBe(201);
  const after = (await (await api.ask("GET", "/v1/plans/cf-api/preview", { role: "viewer" })).json()) as Record<string, unknown>;
  expect(after).toMatchObject({ ...EXAMPLE, plan: "cf-api" });
  // 510 of the 511 addresses stand in whole /24s; half of 100 packets per second goes to each.
  expect(after["fastestNetwork"]).toMatchObject({ network: "173.245.59.0/24", pps: 50.098, limitPps: 2_000, plans: [{ name: "cf-api" }] });
  expect((await api.ask("GET", "/v1/plans/none/preview")).status).toBe(404);
});

test("exclusions, denies and bounds of scanners are told one by one; what nobody may probe is a problem", async () => {
  const { api } = cli;
  const { registry } = api.store;
  await registry.addExclusion({ ranges: ["173.245.58.0/28"], ports: "443", owner: "net", reason: "fragile", expiresAtMs: null });
  await registry.addScanner({
    name: "bounded",
    region: "eu",
    addresses: ["192.0.2.2"],
    publicKey: publicKey(8),
    mayProbe: ["CF-Anycast"],
    mayNotProbe: ["CF-Exclude"],
  });
  await registry.addGroup({ name: "few", members: [{ scanner: "bounded", pinned: null }] });
  api.ledger.denied = async () => ({
    version: "1",
    pairs: [{ ranges: [{ first: 0xffff_adf5_3b00n, last: 0xffff_adf5_3b01n }], ports: null }],
  });
  const body = { name: "p", include: ["CF-Anycast"], ports: "443", group: "few", closeAfter: 1, confirm: false };
  const found = (await (await api.ask("POST", "/v1/plans/preview", { body })).json()) as Record<string, unknown>;
  expect(found).toMatchObject({ ok: false, job: null, addresses: 512 - 16 - 2, unprobeable: { ranges: ["173.245.58.59"], addresses: 1 } });
  expect((found["problems"] as string[])[0]).toContain("may probe 173.245.58.59");
  expect(found["cuts"]).toMatchObject([
    { kind: "exclusion", ports: "443", addresses: 16, pairs: 16, reason: "fragile" },
    { kind: "deny", key: "173.245.59.0/31", addresses: 2, pairs: 2 },
  ]);
  const codes = (found["warnings"] as { code: string }[]).map(({ code }) => code);
  expect(codes).toEqual(expect.arrayContaining(["no-canaries", "weak-policy", "denied"]) as string[]);
  api.ledger.denied = async () => ({ version: "", pairs: [] });
});

test("the rates of all plans add up for each network: above the limit a plan is refused, and not in special-purpose blocks", async () => {
  const { api } = cli;
  const save = (name: string, over: object) =>
    api.ask("POST", "/v1/plans", {
      body: { name, ports: "1-1000", group: "all", ranges: ["198.41.128.0/24"], rateLimitPps: 1_200, ...over },
    });
  expect((await save("first", {})).status).toBe(201);
  const refused = await save("second", { ranges: ["198.41.128.0/25", "198.41.130.0/25"], rateLimitPps: 1_700 });
  expect(refused.status).toBe(400);
  expect(((await refused.json()) as { detail: string }).detail).toMatch(
    /plan "second" together with plan "first" would send 2050 packets per second to 198.41.128.0\/24 \(at most 2000/,
  );
  expect((await save("second", { ranges: ["198.41.128.0/25", "198.41.130.0/25"], rateLimitPps: 1_500, closeAfter: 1 })).status).toBe(201);
  const preview = (await (await api.ask("GET", "/v1/plans/first/preview")).json()) as { warnings: { code: string; detail: string }[] };
  expect(preview.warnings.find(({ code }) => code === "policies-differ")?.detail).toContain("the weakest decides");
  expect((await save("third", { ranges: ["10.0.0.0/24"], rateLimitPps: 50_000 })).status).toBe(201);
});

test("a range group with private addresses is scanned only where it says so; what a plan itself names is meant", async () => {
  const { api } = cli;
  await api.ask("POST", "/v1/range-groups", { body: { name: "stray", ranges: ["172.16.0.0/24"] } });
  const refused = await api.ask("POST", "/v1/plans", { body: { name: "s", include: ["stray"], ports: "22", group: "all" } });
  expect(refused.status).toBe(400);
  expect(((await refused.json()) as { detail: string }).detail).toMatch(
    /range group "stray" of plan "s" holds 172.16.0.0\/24 \(private use\)/,
  );
  await api.ask("POST", "/v1/range-groups", { body: { name: "used", ranges: ["198.41.140.0/30"] } });
  expect((await api.ask("POST", "/v1/plans", { body: { name: "u", include: ["used"], ports: "22", group: "all" } })).status).toBe(201);
  const late = await api.ask("POST", "/v1/range-groups/used/ranges", { body: { ranges: ["192.168.0.0/30"] } });
  expect([late.status, ((await late.json()) as { detail: string }).detail]).toEqual([
    409,
    expect.stringContaining('plan "u" scans range group "used"'),
  ]);
  await ok("range add meant 172.16.1.0/24 --allow-special-purpose");
  expect((await api.ask("POST", "/v1/plans", { body: { name: "m", include: ["meant"], ports: "22", group: "all" } })).status).toBe(201);
});

test("the ready plan of all scanners holds the addresses of all of them, and none of them looks at itself", async () => {
  const ran = await ok("plan add --template scanners --no-start --json");
  expect(json(ran)).toMatchObject({
    plan: { name: "scanners", include: ["@scanners"], ports: "1-65535", intervalS: 86_400, rateLimitPps: 500 },
  });
  const preview = json(await ok("plan preview scanners --json"));
  expect(preview).toMatchObject({ ok: true, addresses: 3, pairs: 3 * 65_535, unprobeable: { addresses: 0 } });
  const own = json(await cli.portolan("plan add alone -r 192.0.2.1 -p 22 --dry-run --json")) as {
    job: { scanners: { scanner: string; pairs: number }[] };
  };
  expect(own.job.scanners.find(({ scanner }) => scanner === "linode-de01")).toMatchObject({ pairs: 0 });
});

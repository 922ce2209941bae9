import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { formatFilter } from "../../src/core/filter/filter.ts";
import { SERVICE } from "../api/harness.ts";
import { type TestCli, startTestCli } from "./harness.ts";

let cli: TestCli;
let usual: TestCli["api"]["ledger"];
let asked: string[] = [];

beforeAll(async () => {
  cli = await startTestCli();
  usual = { ...cli.api.ledger };
});
beforeEach(() => {
  asked = [];
  Object.assign(cli.api.ledger, usual);
  cli.api.ledger.search = async (query) => {
    asked.push(`${formatFilter(query.filter)}${query.sort === undefined ? "" : ` by ${query.sort}`}`);
    return usual.search(query);
  };
});
afterAll(() => cli.close());

const DEFAULTS = "state:open,missing known:hide";

test("the words of a list are one filter, negated ones and options among them", async () => {
  for (const [args, filter] of [
    ["service ls 192.0.2.0/24 port:22,80-90", `net:192.0.2.0/24 port:22,80-90 ${DEFAULTS}`],
    ["services ls -port:22 --json -proto:udp", `-port:22 -proto:udp ${DEFAULTS}`],
    ["service ls --limit 5 !region:eu known:show", "-region:eu state:open,missing known:show"],
    ["service ls --sort=-address --port 443", `port:443 ${DEFAULTS} by -address`],
    [["service", "ls", "tcp/443  seen:<24h"], `port:tcp/443 ${DEFAULTS} seen:<1d`],
  ] as const) {
    asked = [];
    const ran = await cli.portolan(args);
    expect([args, ran.exitCode, ran.stderr.replace(/More follow.*\n/, ""), asked]).toEqual([args, 0, "", [filter]]);
  }
});

test("a wrong filter ends with 2, names the nearest key, and sends nothing", async () => {
  for (const [args, message] of [
    ["service ls prot:udp", /did you mean proto:udp/],
    ["service ls port:70000", /65535/],
    ["service ls --prot udp", /unknown option '--prot'/],
    ["service ls --sort size", /-address/],
    ["service facets --facet colour", /unknown facet/],
    ["export 192.0.2.1/24", /192\.0\.2\.0\/24/],
    ["export --format pdf", /nmap\.xml/],
  ] as const) {
    const ran = await cli.portolan(args);
    expect([args, ran.exitCode, ran.stdout, ran.sent]).toEqual([args, 2, "", []]);
    expect(ran.stderr).toMatch(message);
  }
});

test("empty pages of a list are passed over until there is a row", async () => {
  let pages = 0;
  cli.api.ledger.search = async () => (++pages < 5 ? { items: [], next: `k:${pages}` } : { items: [SERVICE], next: null });
  expect((await cli.portolan("service ls seen:>1w")).stdout).toContain("443/tcp");
  expect(pages).toBe(5);
});

test("changes take the words of a filter, pass over empty pages, and stop at the end of the feed", async () => {
  const asked: unknown[] = [];
  cli.api.ledger.listChanges = async ({ cursor, matching, first }) => {
    asked.push([cursor, matching === undefined ? "" : formatFilter(matching.filter)]);
    if (first === "oldest") return { items: [], next: cursor ?? "0" };
    return { items: [], next: asked.length < 3 ? String(asked.length) : null };
  };
  expect((await cli.portolan("changes 192.0.2.0/24 -change:missing")).exitCode).toBe(0);
  const filter = "net:192.0.2.0/24 -change:missing";
  expect(asked).toEqual([
    [undefined, filter],
    ["1", filter],
    ["2", filter],
  ]);
  expect((await cli.portolan("changes --oldest")).exitCode).toBe(0);
  expect(asked.slice(3)).toEqual([
    [undefined, ""],
    ["0", ""],
  ]);
});

test("facets are a table or one document", async () => {
  const table = await cli.portolan("service facets port:443 --facet port");
  expect([table.exitCode, table.stdout]).toEqual([0, expect.stringMatching(/port +tcp\/443 +1\n/)]);
  const json = await cli.portolan("service facets --json");
  expect(JSON.parse(json.stdout)).toEqual({ total: { count: 2, exact: true }, facets: { port: [{ value: "tcp/443", count: 1 }] } });
});

test("an export goes to standard output, all pages of it", async () => {
  const ran = await cli.portolan("export --format txt 192.0.2.0/24");
  expect([ran.exitCode, ran.stdout, ran.stderr]).toEqual([0, "192.0.2.1:443\n192.0.2.1:444\n", ""]);
  expect(asked).toEqual([`net:192.0.2.0/24 ${DEFAULTS}`, `net:192.0.2.0/24 ${DEFAULTS}`]);
});

test("an exported file appears whole or not at all, and an older one stays until then", async () => {
  const file = join(cli.cwd, "services.csv");
  const ran = await cli.portolan("export -o services.csv");
  expect([ran.exitCode, ran.stdout, ran.stderr]).toEqual([0, "", `Written to ${file}.\n`]);
  const whole = readFileSync(file, "utf8");
  expect(whole.split("\n")).toHaveLength(4);
  writeFileSync(file, "older\n");
  cli.api.ledger.search = async ({ cursor }) => {
    if (cursor !== undefined) throw new PortolanError("unavailable", "the ledger went away; start it");
    return { items: [SERVICE], next: "k:1" };
  };
  const broken = await cli.portolan("export -o services.csv");
  expect([broken.exitCode, broken.stderr]).toEqual([5, expect.stringContaining("broke off")]);
  expect(readFileSync(file, "utf8")).toBe("older\n");
  expect(readdirSync(cli.cwd).filter((name) => name.endsWith(".part"))).toEqual([]);
  cli.api.ledger.search = async () => Promise.reject(new PortolanError("unavailable", "the ledger is away; start it"));
  const refused = await cli.portolan("export -o other.csv");
  expect([refused.exitCode, refused.stderr, existsSync(join(cli.cwd, "other.csv"))]).toEqual([
    5,
    expect.stringContaining("the ledger is away"),
    false,
  ]);
});

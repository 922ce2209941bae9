import { expect } from "vitest";
import { openKeys, pairOf } from "../../src/local/lab/truth.ts";
import { SMALL } from "./lab-test.ts";
import { awaitThat, regionTest } from "./verdict-region.ts";

/** The /24 that begins to drop what one scanner sends. */
const FILTERED = "198.18.1.0/24";

regionTest(
  "a network that begins to filter one scanner closes nothing that the scanner which saw it last, or one of two others, still sees",
  { ...SMALL, scanners: 3, prefix4: 22, open4: 400, filtered4: 100, open6: 0, ports: [22, 80, 443] },
  async (world) => {
    const { lab, ledger, keysIn, nft, region } = world;
    const truth = [...openKeys(lab.truth)].toSorted();
    const common = { ranges: lab.ranges, ports: lab.ports, engine: "connect", rateLimitPps: 3_000, closeAfter: 1, confirm: true } as const;
    await world.addGroup("first", ["s1"]);
    await world.addGroup("second", ["s2"]);
    await world.addPlan({ ...common, name: "by-s1", group: "first" });
    await world.addPlan({ ...common, name: "by-s2", group: "second" });
    await world.runJob("by-s2");
    await world.runJob("by-s1");
    await awaitThat(
      "the register that equals the truth",
      () => keysIn(["open"]),
      (keys) => keys.join() === truth.join(),
    );

    await nft(`add table inet vantage
add chain inet vantage in { type filter hook prerouting priority -290; }
add rule inet vantage in ip saddr ${lab.links[1]?.scannerIpv4 ?? ""} ip daddr ${FILTERED} drop
`);
    const hidden = await keysIn(["open"], FILTERED);
    expect(hidden.length).toBeGreaterThan(50);
    await world.runJob("by-s2");
    await awaitThat(
      "the misses",
      () => keysIn(["missing"], FILTERED),
      (keys) => keys.length > 0,
    );
    // The confirms of scanner s1, which saw them last, say that they are open.
    await awaitThat(
      "the confirms",
      () => keysIn(["missing"]),
      (keys) => keys.length === 0,
    );
    expect(await keysIn(["open"])).toEqual(truth);

    // When the last sighter is gone, two others have to agree: scanner s3 does not.
    await region.child("scanner-s1").kill9({ stayDown: true });
    await world.runJob("by-s2");
    await awaitThat(
      "the misses",
      () => keysIn(["missing"], FILTERED),
      (keys) => keys.length > 0,
    );
    await awaitThat(
      "the confirms",
      () => keysIn(["missing"]),
      (keys) => keys.length === 0,
    );
    expect(await keysIn(["open"])).toEqual(truth);
    const { items } = await ledger.listChanges({ first: "oldest", kinds: ["closed"] });
    expect(items, "not even for a moment").toEqual([]);
  },
);

regionTest(
  "with two scanners, a network that begins to filter the one that scans it closes nothing that lives, and all that is dead",
  { ...SMALL, scanners: 2, prefix4: 22, open4: 400, filtered4: 100, open6: 0, ports: [22, 80, 443] },
  async (world) => {
    const { lab, ledger, keysIn, nft } = world;
    const truth = [...openKeys(lab.truth)].toSorted();
    await world.addGroup("first", ["s1"]);
    await world.addPlan({ name: "by-s1", ranges: lab.ranges, ports: lab.ports, group: "first", closeAfter: 1, confirm: true });
    await world.runJob("by-s1");
    await awaitThat(
      "the register that equals the truth",
      () => keysIn(["open"]),
      (keys) => keys.join() === truth.join(),
    );

    await nft(`add table inet vantage
add chain inet vantage in { type filter hook prerouting priority -290; }
add rule inet vantage in ip saddr ${lab.links[0]?.scannerIpv4 ?? ""} ip daddr ${FILTERED} drop
`);
    const hidden = await keysIn(["open"], FILTERED);
    const elsewhere = truth.filter((key) => !hidden.includes(key));
    const gone = [...hidden.slice(0, 5), ...elsewhere.slice(0, 5)].toSorted();
    await lab.close(gone.map(pairOf));
    const missed = new Set([...hidden, ...gone]);
    expect(missed.size).toBeGreaterThan(50);
    await world.runJob("by-s1");
    // Scanner s1 saw them last and hears nothing now; scanner s2 does.
    await awaitThat(
      "a confirm or a sighting of everything that was missed",
      async () => [await ledger.listChanges({ first: "oldest", kinds: ["missing"], limit: 1_000 }), await keysIn(["missing"])] as const,
      ([{ items }, missing]) => items.length >= missed.size && missing.length === 0,
    );
    expect(await keysIn(["closed"])).toEqual(gone);
    expect(await keysIn(["open"])).toEqual(truth.filter((key) => !gone.includes(key)));
    const { items } = await ledger.listChanges({ first: "oldest", kinds: ["closed"], limit: 1_000 });
    const closed = items.map(({ address, port }) => `${address}\t${port}`);
    expect(closed.toSorted(), "nothing else was closed even for a moment").toEqual(gone);
    const wrong = closed.filter((key) => !gone.includes(key)).length;
    console.log(
      `services of ${FILTERED} that one of two scanners lost: ${hidden.length}; closed wrongly: ${wrong}; dead ones closed: ${gone.length}`,
    );
  },
  300_000,
);

import { expect } from "vitest";
import { openKeys, pairOf } from "../../src/local/lab/truth.ts";
import { SMALL } from "./lab-test.ts";
import { startUdpEchoes } from "./udp-echo.ts";
import { awaitThat, regionTest } from "./verdict-region.ts";

const CLOSED = 20;
const UDP_PORT = 9_999;
const UDP_HOSTS = ["198.18.0.201", "198.18.0.202", "198.18.0.203"];

regionTest(
  "dead services are missing after one job and closed after closeAfter jobs and their confirm, over TCP and UDP, each with a certificate",
  { ...SMALL, prefix4: 24, open4: 80, filtered4: 50, open6: 0, ports: [22, 80, 443] },
  async (world) => {
    const { lab, ledger, keysIn } = world;
    const target = ["ip", "netns", "exec", `${lab.name}-tgt`];
    const udp = UDP_HOSTS.map((address) => ({ address, port: UDP_PORT }));
    const echoes = await startUdpEchoes(target, udp);
    try {
      await world.addPlan({
        name: "tcp",
        ranges: ["198.18.0.0/24"],
        ports: lab.ports,
        group: "@all",
        engine: "connect",
        closeAfter: 2,
        confirm: true,
      });
      await world.addPlan({
        name: "udp",
        ranges: ["198.18.0.200/29"],
        ports: `U:${UDP_PORT}`,
        group: "@all",
        closeAfter: 1,
        confirm: true,
      });
      await Promise.all([world.runJob("tcp"), world.runJob("udp")]);
      const truth = [...openKeys(lab.truth)];
      const udpKeys = udp.map(({ address, port }) => `${address}\t${port}`);
      const all = [...truth, ...udpKeys].toSorted();
      await awaitThat(
        "the register that equals the truth",
        () => keysIn(["open"]),
        (keys) => keys.join() === all.join(),
      );

      const gone = truth.toSorted().slice(0, CLOSED);
      await lab.close(gone.map(pairOf));
      await world.runJob("tcp");
      await awaitThat(
        "the misses",
        () => keysIn(["missing"]),
        (keys) => keys.join() === gone.join(),
      );
      expect(await keysIn(["closed"])).toEqual([]);

      await echoes.stop();
      await Promise.all([world.runJob("udp"), world.runJob("tcp")]);
      const dead = [...gone, ...udpKeys].toSorted();
      await awaitThat(
        "the closes",
        () => keysIn(["closed"]),
        (keys) => keys.length >= dead.length,
      );
      expect(await keysIn(["closed"])).toEqual(dead);
      expect(await keysIn(["missing"])).toEqual([]);
      for (const service of await world.services()) {
        const verdict = service.state;
        expect({ service, ...(await world.checkOf(service)) }).toEqual({ service, verdict, problems: [] });
      }
      const { items } = await ledger.listChanges({ first: "oldest", kinds: ["closed"], limit: 1_000 });
      expect(
        items.map(({ cause }) => cause.kind),
        "what closed it was the probe",
      ).toEqual(dead.map(() => "probe"));
    } finally {
      await echoes.stop();
    }
  },
);

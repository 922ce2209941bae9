import { afterEach } from "vitest";
import { startScanners, type Scanners } from "./work.ts";
import { startWorlds, type RegionName, type Worlds } from "./world.ts";

const PLACES = { s1: "eu", s2: "us" } as const;
export const OPEN = ["192.0.2.1:80", "192.0.2.2:443", "192.0.2.9:80", "192.0.2.14:443"];

/** For one `describe`: starts regions with their keepers, and scanners that see `open`; all of it ends after each test. */
export function regionsOfTest() {
  let worlds: Worlds | undefined;
  const scanners: Scanners[] = [];
  afterEach(async () => {
    await Promise.all(scanners.splice(0).map((one) => one.stop()));
    await worlds?.stop();
    worlds = undefined;
  });
  return {
    begin: async (names: readonly RegionName[], options: Parameters<typeof startWorlds>[1] = {}): Promise<Worlds> => {
      const begun = startWorlds(names, options);
      worlds = begun;
      for (const name of names) begun.regions[name].keeper.start();
      await Promise.all(names.map((name) => begun.regions[name].keeper.leads()));
      return begun;
    },
    scan: (of: Worlds, open: () => readonly string[] = () => OPEN): Scanners => {
      const started = startScanners(of, PLACES, open);
      scanners.push(started);
      return started;
    },
  };
}

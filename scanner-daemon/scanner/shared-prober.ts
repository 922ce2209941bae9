import type { Launch } from "./launch.ts";
import { startProber, type Prober } from "./prober-client.ts";

/** One prober for everything that looks at the same time: it starts with the first use and ends after the last one. */
export type SharedProber = {
  use<T>(act: (prober: Prober) => Promise<T>): Promise<T>;
  /** Ends it at once; what waits for its answers fails. */
  kill(): void;
};

/** Nothing is started before the first use. Its rate limit holds over all uses together. */
export function shareProber(how: Launch): SharedProber {
  let prober: Prober | null = null;
  let users = 0;
  return {
    use: async (act) => {
      prober ??= startProber(how);
      users += 1;
      try {
        return await act(prober);
      } finally {
        users -= 1;
        if (users === 0) {
          const last = prober;
          prober = null;
          await last?.end();
        }
      }
    },
    kill: () => prober?.kill(),
  };
}

import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/** Which tests may run beside each other: one lane waits for nobody, and inside the last three one file runs at a time. */
const LANES = {
  lab: ["test/lab/**/*.test.ts", "test/daemon/scanner/lab.test.ts"],
  process: ["test/e2e/**/*.test.ts"],
  runtimes: ["test/runtimes/**/*.test.ts", "test/web/browser.test.ts"],
};

/** These run inside workerd; `runtimes*` names both lanes' projects. */
const INSIDE_WORKERD = "test/runtimes/plugin/**/*.test.ts";

/** Limits against hanging, not against being slow: a busy machine must not fail a test. */
const shared = { testTimeout: 180_000, hookTimeout: 180_000, expect: { poll: { timeout: 60_000 } }, pool: "forks" as const };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...shared,
          name: "unit",
          include: ["test/**/*.test.ts", "test/**/*.test.tsx"],
          exclude: [...Object.values(LANES).flat(), INSIDE_WORKERD],
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      ...Object.entries(LANES).map(([name, include], index) => ({
        test: {
          ...shared,
          name,
          include,
          exclude: [INSIDE_WORKERD],
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: index + 1 },
        },
      })),
      {
        plugins: [
          cloudflareTest(({ inject }) => ({
            main: "./workers/cloudflare.ts",
            miniflare: {
              compatibilityDate: "2026-11-01",
              compatibilityFlags: ["nodejs_compat"],
              bindings: inject<Record<string, string>>("environment"),
            },
          })),
        ],
        test: {
          name: "runtimes-plugin",
          include: [INSIDE_WORKERD],
          globalSetup: "test/runtimes/plugin/setup.ts",
          testTimeout: shared.testTimeout,
          hookTimeout: shared.hookTimeout,
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: Object.keys(LANES).length + 1 },
        },
      },
    ],
  },
});

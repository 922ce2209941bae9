import type { TestProject } from "vitest/node";
import type { Known } from "../suite-types.ts";
import { startWorld, type World } from "../world.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Variables of the worker under test. */
    environment: Record<string, string>;
    known: Known;
  }
}

let world: World | undefined;

/** The stores live in Node, the tests in workerd. */
export async function setup(project: TestProject): Promise<void> {
  world = await startWorld();
  project.provide("environment", world.environment("eu"));
  project.provide("known", world.known);
}

export async function teardown(): Promise<void> {
  await world?.stop();
}

import { afterAll, beforeAll, describe } from "vitest";
import { askServer, type Environment, type Server, startDeno, startNode, startWorkerd } from "./servers.ts";
import { requestSuite } from "./suite.ts";
import type { Traits } from "./suite-types.ts";
import { startWorld, type World } from "./world.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld();
});

afterAll(async () => {
  await world?.stop();
});

const RUNTIMES: readonly (Traits & { readonly start: (environment: Environment) => Promise<Server> })[] = [
  { name: "node", servesStatic: true, start: startNode },
  { name: "deno", servesStatic: true, start: startDeno },
  { name: "workerd", servesStatic: false, start: startWorkerd },
];

describe.each(RUNTIMES)("on $name", ({ start, ...traits }) => {
  let server: Server | undefined;

  afterAll(async () => {
    await server?.stop();
  });

  requestSuite(traits, async () => {
    const started = (server = await start(world.environment("eu")));
    return { known: world.known, fetch: (path, init) => askServer(started, path, init) };
  });
});

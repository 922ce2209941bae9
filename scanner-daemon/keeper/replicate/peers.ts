import type { PeerState } from "../../../src/ledger/peer-types.ts";
import type { RegistrySnapshot } from "../../../src/registry/types.ts";
import { createDoorbell } from "../doorbell.ts";
import { createPeer, type Peer, type PeerDeps } from "./peer.ts";
import { peerPlaces } from "./places.ts";

/** The peers that the registry names, each with its own loop. */
export type Peers = {
  /** Starts the ones that are new or have moved, and lets go of the ones that are gone. */
  match(): Promise<void>;
  /** Starts all of them, each from where its state says. */
  start(states: readonly PeerState[]): void;
  /** Ends all loops; resolves when they have ended. */
  stop(): Promise<void>;
  /** Resolves when each has answered, or after the time; gives the names of those that have not. */
  heard(timeoutMs: number): Promise<string[]>;
  /** Whether each has answered in this term, and we hold what they held then. */
  level(): boolean;
  /** By name. */
  states(): PeerState[];
};

type Running = { readonly peer: Peer; readonly end: AbortController; readonly done: Promise<void> };

/** Nothing runs before `start`. */
export function createPeers(deps: PeerDeps, snapshot: () => RegistrySnapshot | null): Peers {
  const running = new Map<string, Running>();
  let wanted = false;
  let saved = new Map<string, PeerState>();
  const stopOne = async ({ peer, end, done }: Running): Promise<void> => {
    saved.set(peer.place.region, peer.state());
    end.abort();
    await done;
  };
  const match = async (): Promise<void> => {
    const places = peerPlaces(snapshot(), deps.region);
    for (const [name, one] of running) {
      if (places.some(({ region, url }) => region === name && url === one.peer.place.url)) continue;
      deps.log.info(`region "${name}" is no peer any more at ${one.peer.place.url}`);
      running.delete(name);
      await stopOne(one);
    }
    for (const place of wanted ? places : []) {
      if (running.has(place.region)) continue;
      const peer = createPeer(deps, place, saved.get(place.region));
      const end = new AbortController();
      running.set(place.region, { peer, end, done: peer.run(end.signal) });
    }
  };
  return {
    match,
    start: (states: readonly PeerState[]): void => {
      saved = new Map(states.map((state) => [state.region, state]));
      wanted = true;
      void match();
    },
    stop: async (): Promise<void> => {
      const all = [...running.values()];
      wanted = false;
      running.clear();
      await Promise.all(all.map(stopOne));
    },
    heard: async (timeoutMs: number): Promise<string[]> => {
      const all = [...running.values()].map(({ peer }) => peer);
      const over = new AbortController();
      const pause = createDoorbell();
      void Promise.all(all.map(({ heard }) => heard)).then(() => over.abort());
      if (all.length > 0) await pause.wait(timeoutMs, over.signal);
      over.abort();
      return all.filter((peer) => !peer.hasAnswered()).map(({ place }) => place.region);
    },
    level: () => [...running.values()].every(({ peer }) => peer.isLevel()),
    states: (): PeerState[] => [...running.values()].map(({ peer }) => peer.state()).toSorted((a, b) => (a.region < b.region ? -1 : 1)),
  };
}

import type { ProberReply, ProberRequest } from "../../scanner-daemon/scanner/prober-protocol.ts";
import type { Child } from "./child.ts";
import { masscanProgram } from "./masscan.ts";

/** The simulated program for an argv. Throws for one that the scanner is not known to start. */
export function programNamed(argv: readonly string[]): (child: Child) => void {
  const [name = "", ...rest] = argv;
  if (name === "stdbuf") return programNamed(rest.slice(1));
  if (name === "masscan") return masscanProgram;
  if (name === "ethtool") return ethtoolProgram;
  if (name === "prober") return proberProgram;
  if (name === "sh") return (child) => child.exit(0);
  throw new Error(`the simulation has no program ${name}`);
}

function ethtoolProgram(child: Child): void {
  const { place } = child.owner;
  place.offloadsSeen = place.offloadsOn;
  const state = place.offloadsOn ? "on" : "off";
  child.say(`generic-receive-offload: ${state}\ngeneric-segmentation-offload: off\n`);
  child.exit(0);
}

/** Answers out of the truth, as the real prober does out of the network. */
function proberProgram(child: Child): void {
  const { place } = child.owner;
  place.proberStarts();
  let counted = true;
  const leave = (): void => {
    if (counted) place.proberEnds();
    counted = false;
  };
  child.owner.onDeath.push(leave);
  child.onEnd(leave);
  child.onInputEnd(() => child.exit(0));
  child.onLine((line) => {
    const request = JSON.parse(line) as ProberRequest;
    const reply = (answer: ProberReply): void => child.say(`${JSON.stringify(answer)}\n`);
    if (request.op === "look") {
      const view = {
        network: "net:[2]",
        rawSockets: true,
        ambientConfig: false,
        interface: "eth0",
        router: "192.0.2.254",
        drops: place.drops,
      };
      reply({ id: request.id, op: "look", view });
    } else if (request.op === "poke") {
      reply({ id: request.id, op: "poke", sent: true });
      child.owner.onPoke?.();
    } else connect(child, request, reply);
  });
}

const CANARIES_PPS = 100;
const CONFIRMS_PPS = 50;

function connect(child: Child, request: ProberRequest & { op: "connect" }, reply: (answer: ProberReply) => void): void {
  const { simulation, owner } = child;
  const { place } = owner;
  const { random } = simulation;
  // A check of canaries goes the way that it goes: lies are about the work.
  const isWork = request.ratePps !== CANARIES_PPS;
  // A confirm is rare, so it goes wrong more often.
  const lie = isWork && (request.ratePps === CONFIRMS_PPS ? random.chance(place.lieChance) : place.isErring(random));
  if (lie) simulation.count("connects err");
  if (lie && random.chance(0.5)) {
    child.after(simulation.between(1, 2_000), () => child.exit(null, "SIGKILL"));
    return;
  }
  const letters = request.pairs.map(([address, port]) => {
    if (lie && random.chance(0.3)) return "e";
    if (place.blind) return "f";
    return place.truth.isOpen({ address, port }, simulation.nowMs) ? "o" : random.chance(0.5) ? "c" : "f";
  });
  const error = letters.includes("e") ? "EADDRNOTAVAIL" : null;
  child.after(simulation.between(20, isWork ? 3_000 : 500), () => {
    // What went blind meanwhile did not get its answers.
    const answers = letters.map((letter) => (place.blind && letter === "o" ? "f" : letter)).join("");
    reply({ id: request.id, op: "connect", answers, tries: request.pairs.length, error });
  });
}

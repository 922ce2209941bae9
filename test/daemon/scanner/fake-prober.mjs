// Stands in for the prober: never touches a network. FAKE_PROBER (JSON): view, canaries (answers, one letter each),
// ports (for a port, the letters of its answers one after the other; the last one stays), pokeFile.
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const how = JSON.parse(process.env.FAKE_PROBER ?? "{}");
const view = {
  network: "net:[1]",
  rawSockets: true,
  ambientConfig: false,
  interface: "fake0",
  router: "192.0.2.254",
  drops: 0,
  ...how.view,
};
let looks = 0;
const asked = {};
const answer = (reply) => process.stdout.write(`${JSON.stringify(reply)}\n`);
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { id, op, pairs } = JSON.parse(line);
    if (op === "look") {
      answer({ id, op, view: { ...view, drops: looks * (how.dropsPerLook ?? 0) } });
      looks += 1;
    } else if (op === "poke") {
      if (how.pokeFile) writeFileSync(how.pokeFile, "");
      answer({ id, op, sent: true });
    } else {
      const letterOf = ([, port], index) => {
        const letters = how.ports?.[port];
        if (letters === undefined) return (how.canaries ?? "o".repeat(pairs.length))[index];
        asked[port] = (asked[port] ?? 0) + 1;
        return letters[Math.min(asked[port], letters.length) - 1];
      };
      const answers = pairs.map(letterOf).join("");
      answer({ id, op, answers, tries: pairs.length, error: null });
    }
  })
  .on("close", () => process.exit(0));

import { spawn } from "node:child_process";
import { once } from "node:events";

/** UDP services inside a namespace. */
export type UdpEchoes = { readonly stop: () => Promise<void> };

const SCRIPT = `const { createSocket } = require("node:dgram");
const pairs = JSON.parse(process.argv[1]);
let left = pairs.length;
for (const [address, port] of pairs) {
  const socket = createSocket("udp4");
  // From a socket of its own, so that the answer comes from the address that was asked.
  socket.on("message", (_, from) => socket.send("echo", from.port, from.address));
  socket.bind(port, address, () => { left -= 1; if (left === 0) process.stdout.write("ready\\n"); });
}
process.stdin.on("close", () => process.exit(0)).resume();`;

/** Answers every datagram to these addresses and ports, behind an argv prefix, until `stop`. */
export async function startUdpEchoes(
  launcher: readonly string[],
  pairs: readonly { readonly address: string; readonly port: number }[],
): Promise<UdpEchoes> {
  const list = JSON.stringify(pairs.map(({ address, port }) => [address, port]));
  const [program, ...args] = [...launcher, process.execPath, "-e", SCRIPT, list];
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env: { ...process.env, NODE_OPTIONS: "" } });
  const exited = once(child, "exit");
  const ready = await Promise.race([once(child.stdout, "data").then(() => true), exited.then(() => false)]);
  if (!ready) throw new Error("the UDP services of the lab did not start");
  return {
    stop: async () => {
      child.stdin.end();
      await exited;
    },
  };
}

import { PortolanError } from "../../core/errors.ts";
import { runCommand } from "./command.ts";
import { LAB_NET4, LAB_NET6 } from "./rules.ts";

/** Interface names have at most 15 characters: this leaves room for `s200`. */
const NAME_PATTERN = /^[a-z][a-z0-9]{0,10}$/;
const SCANNERS_MAX = 200;

/** Names and addresses of one scanner's namespace and of the veth pair that joins it to the target's. */
export type Link = {
  readonly namespace: string;
  readonly scannerInterface: string;
  readonly targetInterface: string;
  readonly scannerMac: string;
  readonly targetMac: string;
  readonly scannerIpv4: string;
  readonly targetIpv4: string;
  readonly scannerIpv6: string;
  readonly targetIpv6: string;
};

/** Name of the one namespace that answers. */
export function targetNamespace(lab: string): string {
  return `${lab}-tgt`;
}

/** The link of scanner `number` (counted from 1): its own /24 and /64, outside the networks that the lab answers for. */
function linkOf(lab: string, number: number): Link {
  const hex = number.toString(16).padStart(2, "0");
  return {
    namespace: `${lab}-s${number}`,
    scannerInterface: `${lab}s${number}`,
    targetInterface: `${lab}t${number}`,
    scannerMac: `02:00:00:00:${hex}:01`,
    targetMac: `02:00:00:00:${hex}:02`,
    scannerIpv4: `198.19.${number}.1`,
    targetIpv4: `198.19.${number}.2`,
    scannerIpv6: `2001:db8:ffff:${number.toString(16)}::1`,
    targetIpv6: `2001:db8:ffff:${number.toString(16)}::2`,
  };
}

/** The links of a lab. Throws `invalid` for a name that does not fit into an interface name, and for too many scanners. */
export function linksOf(lab: string, scanners: number): Link[] {
  if (!NAME_PATTERN.test(lab)) throw new PortolanError("invalid", `lab name "${lab}": use 1 to 11 of a-z and 0-9, beginning with a letter`);
  if (!Number.isInteger(scanners) || scanners < 1 || scanners > SCANNERS_MAX) {
    throw new PortolanError("invalid", `${scanners} scanners: a lab holds 1 to ${SCANNERS_MAX}`);
  }
  return Array.from({ length: scanners }, (_, index) => linkOf(lab, index + 1));
}

function settings(options: { readonly interfaces: readonly string[]; readonly isTarget: boolean }): string {
  const net = "/proc/sys/net";
  const quiet = ["accept_dad", "router_solicitations"];
  const conf = ["all", "default", ...options.interfaces].flatMap((name) =>
    quiet.map((key) => `echo 0 > ${net}/ipv6/conf/${name}/${key}\n`),
  );
  const calm = conf.join("");
  if (!options.isTarget) return calm;
  return `${calm}echo 1 > ${net}/ipv4/tcp_syncookies
echo 8192 > ${net}/core/somaxconn
echo 65536 > ${net}/ipv4/tcp_max_syn_backlog
echo 0 > ${net}/ipv4/icmp_ratelimit
`;
}

const inside = (namespace: string): readonly string[] => ["ip", "netns", "exec", namespace];

async function addLink(target: string, link: Link): Promise<void> {
  await runCommand(["ip", "netns", "add", link.namespace]);
  const scannerEnd = [link.scannerInterface, "netns", link.namespace, "address", link.scannerMac, "type", "veth"];
  const targetEnd = ["peer", "name", link.targetInterface, "netns", target, "address", link.targetMac];
  await runCommand(["ip", "link", "add", ...scannerEnd, ...targetEnd]);
  await runCommand([...inside(link.namespace), "sh", "-eu"], settings({ interfaces: [link.scannerInterface], isTarget: false }));
  await runCommand(["ip", "-n", target, "-batch", "-"], ends(link.targetInterface, `${link.targetIpv4}/24`, `${link.targetIpv6}/64`));
  await runCommand(
    ["ip", "-n", link.namespace, "-batch", "-"],
    ends(link.scannerInterface, `${link.scannerIpv4}/24`, `${link.scannerIpv6}/64`),
  );
  // The routes end in the target namespace, which has none: nothing leaves. Without them masscan finds no interface.
  const routes = `route add default via ${link.targetIpv4}\nroute add ::/0 via ${link.targetIpv6}\n`;
  await runCommand(["ip", "-n", link.namespace, "-batch", "-"], `link set lo up\n${routes}`);
}

function ends(name: string, ipv4: string, ipv6: string): string {
  return `addr add ${ipv4} dev ${name}\naddr add ${ipv6} dev ${name} nodad\nlink set ${name} up\n`;
}

/** Builds the namespaces, links, addresses and routes; the target has no way out and answers for the lab's networks. */
export async function buildLayout(lab: string, links: readonly Link[]): Promise<void> {
  const target = targetNamespace(lab);
  await runCommand(["ip", "netns", "add", target]);
  await runCommand([...inside(target), "sh", "-eu"], settings({ interfaces: [], isTarget: true }));
  for (const link of links) await addLink(target, link);
  const anyIp = `route add local ${LAB_NET4} dev lo\nroute add local ${LAB_NET6} dev lo\n`;
  await runCommand(["ip", "-n", target, "-batch", "-"], `link set lo up\n${anyIp}`);
}

/** Turns segmentation and receive offloads of a scanner's end on or off; on, masscan loses answers. */
export async function setOffloads(link: Link, on: boolean): Promise<void> {
  const word = on ? "on" : "off";
  await runCommand([...inside(link.namespace), "ethtool", "-K", link.scannerInterface, "gro", word, "gso", word, "tso", word]);
}

/** Removes the namespaces of a lab of this name, and of no other, if there are any. */
export async function removeLayout(lab: string, links: readonly Link[]): Promise<void> {
  const listed = await runCommand(["ip", "netns", "list"]);
  const present = new Set(listed.split("\n").map((line) => line.split(" ")[0] ?? ""));
  for (const namespace of [...links.map((link) => link.namespace), targetNamespace(lab)]) {
    if (present.has(namespace)) await runCommand(["ip", "netns", "del", namespace]);
  }
}

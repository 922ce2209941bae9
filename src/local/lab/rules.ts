import { isV6, pairOf, type LabPair, type Truth } from "./truth.ts";

/** Everything that the lab answers for; probes elsewhere find no route. */
export const LAB_NET4 = "198.18.0.0/16";
export const LAB_NET6 = "2001:db8:18::/64";
/** Inside `LAB_NET4`; drops everything and holds no listed pair. */
const SILENT_NET4 = "198.18.200.0/24";
/** How many pairs the dynamic sets of probes can hold, per family. */
const SEEN_PAIRS_MAX = 2_000_000;
/** Elements per nft statement: keeps netlink messages well below their limit. */
const ELEMENTS_PER_STATEMENT = 2_000;

/** Names of the truth sets: state × family. */
export type TruthSet = "open4" | "open6" | "filt4" | "filt6";

/** The set that holds a pair in this state. */
export function truthSetOf(pair: LabPair, state: "open" | "filtered"): TruthSet {
  return `${state === "open" ? "open" : "filt"}${isV6(pair.address) ? "6" : "4"}`;
}

/** nft statements that add or delete elements of one truth set; empty for no pairs. */
export function elementRules(verb: "add" | "delete", set: TruthSet, pairs: readonly LabPair[]): string {
  let text = "";
  for (let i = 0; i < pairs.length; i += ELEMENTS_PER_STATEMENT) {
    const elements = pairs.slice(i, i + ELEMENTS_PER_STATEMENT).map((pair) => `${pair.address} . ${pair.port}`);
    text += `${verb} element inet lab ${set} { ${elements.join(", ")} }\n`;
  }
  return text;
}

function family(options: { readonly v: "4" | "6"; readonly daddr: string; readonly silent: string }): string {
  return `  chain t${options.v} {
${options.silent}    meta l4proto != tcp accept
    ${options.daddr} . tcp dport @open${options.v} accept
    ${options.daddr} . tcp dport @filt${options.v} drop
    tcp flags & (syn | ack) == syn reject with tcp reset
  }
`;
}

/**
 * The whole rule set of the target namespace. Concatenated sets give each pair its own state in constant time; the
 * empty chain `loss` is where loss rules go. `flush ruleset` touches the namespace only in which this is loaded.
 */
export function targetRules(truth: Truth): string {
  const bySet = new Map<TruthSet, LabPair[]>([
    ["open4", []],
    ["open6", []],
    ["filt4", []],
    ["filt6", []],
  ]);
  for (const [key, state] of truth) bySet.get(truthSetOf(pairOf(key), state))?.push(pairOf(key));
  const sets = [...bySet.keys()]
    .map((set) => `  set ${set} { type ${set.endsWith("6") ? "ipv6_addr" : "ipv4_addr"} . inet_service; }\n`)
    .join("");
  const table = `flush ruleset
table inet lab {
${sets}  chain loss { }
  chain early {
    type filter hook prerouting priority -300; policy accept;
    tcp flags & (syn | ack) == syn jump loss
  }
${family({ v: "4", daddr: "ip daddr", silent: `    ip daddr ${SILENT_NET4} drop\n` })}${family({ v: "6", daddr: "ip6 daddr", silent: "" })}  chain answers {
    type filter hook input priority 0; policy accept;
    ip daddr ${LAB_NET4} jump t4
    ip6 daddr ${LAB_NET6} jump t6
  }
}
`;
  return table + [...bySet].map(([set, pairs]) => elementRules("add", set, pairs)).join("");
}

/** Drops `perMille` of 1,000 probes (SYN without ACK) at random; 0 ends it. */
export function lossRules(perMille: number): string {
  const share = perMille >= 1_000 ? "" : `numgen random mod 1000 < ${perMille} `;
  const rule = perMille === 0 ? "" : `add rule inet lab loss ${share}drop\n`;
  return `flush chain inet lab loss\n${rule}`;
}

/**
 * A table that counts each probe before any loss rule: `update` on a dynamic set with counters is loss-free where a
 * packet capture is not. Loading it again begins from zero.
 */
export function seenRules(): string {
  const set = (name: string, type: string): string =>
    `  set ${name} { type ${type} . inet_proto . inet_service; flags dynamic; size ${SEEN_PAIRS_MAX}; counter; }\n`;
  const rules = (name: string, net: string, daddr: string): string =>
    `    ${daddr} ${net} tcp flags & (syn | ack) == syn update @${name} { ${daddr} . meta l4proto . th dport }
    ${daddr} ${net} meta l4proto udp update @${name} { ${daddr} . meta l4proto . th dport }\n`;
  return `table inet seen
delete table inet seen
table inet seen {
${set("s4", "ipv4_addr")}${set("s6", "ipv6_addr")}  chain count {
    type filter hook prerouting priority -310; policy accept;
${rules("s4", LAB_NET4, "ip daddr")}${rules("s6", LAB_NET6, "ip6 daddr")}  }
}
`;
}

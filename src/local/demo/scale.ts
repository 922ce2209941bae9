/** How large the lab is, and how fast its jobs are; rates are packets per second of all scanners together. */
export type Scale = {
  /** Listed IPv4 pairs lie in a /`prefix4`, IPv6 ones (of a lab of namespaces) in a /`prefix6`. */
  readonly prefix4: number;
  readonly prefix6: number;
  readonly open4: number;
  readonly open6: number;
  /** Pairs of one tile, so that the first two plans have eight tiles. */
  readonly tilePairs: number;
  /** Open ports that close, and how many of them open again. */
  readonly closed: number;
  readonly reopened: number;
  readonly scanPps: number;
  /** A shard has to last some seconds, so that it can be killed in its middle; masscan 1.3.2 sends at half of its rate. */
  readonly slowPps: { readonly masscan: number; readonly connect: number };
  readonly againPps: number;
};

/** What the demo shows. */
export const FULL: Scale = {
  prefix4: 20,
  prefix6: 120,
  open4: 2_100,
  open6: 60,
  tilePairs: 11_000,
  closed: 200,
  reopened: 50,
  scanPps: 8_000,
  slowPps: { masscan: 2_800, connect: 1_400 },
  againPps: 16_000,
};

/** The same story with a quarter of the addresses; the connect engine tells its progress every 256 pairs, hence no fewer. */
export const SMALL: Scale = {
  prefix4: 22,
  prefix6: 122,
  open4: 550,
  open6: 20,
  tilePairs: 2_750,
  closed: 60,
  reopened: 15,
  scanPps: 4_000,
  slowPps: { masscan: 700, connect: 350 },
  againPps: 8_000,
};

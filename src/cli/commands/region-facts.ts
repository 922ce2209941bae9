import { type Command, InvalidArgumentError } from "commander";
import { collect } from "../arguments.ts";

/** What `region add` and `region set` say of a region. */
export type FactOptions = {
  readonly nats?: string;
  readonly api?: string;
  readonly key?: readonly string[];
  readonly at?: { readonly latitude: number; readonly longitude: number };
};

export function withFactOptions(command: Command): Command {
  return command
    .option("--nats <url>", "where other regions' keepers reach its message server, like tls://nats.us.example:4222")
    .option("--api <url>", "where its API answers")
    .option("--key <key>", "public key of a keeper that signs its log; may be repeated", (value, previous: readonly string[] | undefined) =>
      collect(value, previous ?? []),
    )
    .option("--at <latitude,longitude>", "where it is, in degrees: callers are led to the nearest region", place);
}

/** Only what was named. */
export function factsOf({ nats, api, key, at }: FactOptions) {
  return {
    ...(nats === undefined ? {} : { natsUrl: nats }),
    ...(api === undefined ? {} : { apiUrl: api }),
    ...(key === undefined ? {} : { keeperPublicKeys: [...key] }),
    ...at,
  };
}

function place(text: string): { latitude: number; longitude: number } {
  const match = /^\s*(-?\d{1,2}(?:\.\d+)?)\s*,\s*(-?\d{1,3}(?:\.\d+)?)\s*$/.exec(text);
  if (match === null) throw new InvalidArgumentError("give latitude and longitude in degrees, like 39.04,-77.49");
  return { latitude: Number(match[1]), longitude: Number(match[2]) };
}

import { helloApp } from "./app.ts";

type Address = { readonly port: number };
/** The little of Deno that is used here. */
type DenoLike = {
  readonly env: { toObject(): Record<string, string> };
  serve(options: { hostname: string; port: number; onListen: (address: Address) => void }, handler: (request: Request) => unknown): void;
};

const { Deno: deno } = globalThis as unknown as { readonly Deno: DenoLike };
const app = helloApp(deno.env.toObject());
const onListen = ({ port }: Address): void => console.log(JSON.stringify({ event: "listening", url: `http://127.0.0.1:${port}` }));
deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, (request) => app.fetch(request));

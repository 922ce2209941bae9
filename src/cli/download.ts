import { PortolanError } from "../core/errors.ts";
import { apiAccess, explainRefusal, explainSilence } from "./client.ts";
import type { Context } from "./context.ts";

/** How long the API may be silent before or within a file. */
const SILENT_MS_MAX = 30_000;

/** The pieces of a file of the API, in order. Throws in words for people when it does not come, or breaks off. */
export async function* download({ io, settings }: Context, path: string): AsyncGenerator<Uint8Array> {
  const { base, token } = apiAccess(settings());
  const silence = new AbortController();
  const stop = (): void => silence.abort();
  let timer = setTimeout(stop, SILENT_MS_MAX);
  const stillHere = (): void => {
    clearTimeout(timer);
    timer = setTimeout(stop, SILENT_MS_MAX);
  };
  const headers = { authorization: `Bearer ${token}`, "user-agent": "portolan-cli" };
  let began = false;
  try {
    const response = await io.fetch(new Request(`${base}${path}`, { headers, signal: AbortSignal.any([silence.signal, io.signal]) }));
    if (!response.ok) throw await explainRefusal(response, `GET ${path}`);
    if (!(response.headers.get("content-disposition") ?? "").startsWith("attachment") || response.body === null)
      throw new PortolanError("invalid", `GET ${path} was not answered by Portolan's API; check the address (--url)`);
    began = true;
    for await (const piece of response.body) {
      // Whoever takes the piece may need a while for it.
      clearTimeout(timer);
      yield piece;
      stillHere();
    }
  } catch (error) {
    if (!began && error instanceof PortolanError) throw error;
    if (!began || io.signal.aborted)
      throw explainSilence(error, { base, isInterrupted: io.signal.aborted, isLate: silence.signal.aborted });
    throw new PortolanError("unavailable", "the file broke off before its end; look at the API's /readyz, then repeat", { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A fake: not sqld, but a server that answers each question as the primary did when it was last let through. */
export type LaggingReplica = {
  readonly url: string;
  /** The next questions are answered as the primary stands then. */
  catchUp(): void;
  close(): Promise<void>;
};

/** Starts on a port of its own. Each question (a whole batch) is one consistent answer, so an old one is a consistent older state. */
export async function startLaggingReplica(primaryUrl: string): Promise<LaggingReplica> {
  const answers = new Map<string, { status: number; type: string; body: string }>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const question = `${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`;
      const ask = async (): Promise<{ status: number; type: string; body: string }> => {
        const body = Buffer.concat(chunks);
        const headers = { "content-type": request.headers["content-type"] ?? "application/json" };
        const method = request.method ?? "GET";
        const answer = await fetch(new URL(request.url ?? "/", primaryUrl), { method, headers, ...(method === "GET" ? {} : { body }) });
        return { status: answer.status, type: answer.headers.get("content-type") ?? "", body: await answer.text() };
      };
      const known = answers.get(question);
      Promise.resolve(known ?? ask()).then(
        (answer) => {
          answers.set(question, answer);
          response.writeHead(answer.status, { "content-type": answer.type }).end(answer.body);
        },
        () => response.destroy(),
      );
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    catchUp: () => answers.clear(),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

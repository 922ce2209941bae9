/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { ErrorCode } from "../../core/errors.ts";
import { Page, type Frame } from "../layout.tsx";
import { paths } from "../paths.ts";

export type ProblemPageProps = { readonly frame: Frame; readonly code: ErrorCode; readonly message: string };

const TITLES: Readonly<Record<ErrorCode, string>> = {
  invalid: "That does not work",
  unauthenticated: "Sign in first",
  forbidden: "Not allowed",
  "not-found": "Not on the chart",
  conflict: "Changed in the meantime",
  "precondition-required": "Say which version you mean",
  stale: "Changed in the meantime",
  mismatch: "Another request",
  "rate-limited": "Too many requests",
  "too-large": "Too large",
  unavailable: "A part is not answering",
  internal: "Something broke",
};

/** A refusal for people: what, why, and a way on. Never a list that looks empty. */
export function ProblemPage({ frame, code, message }: ProblemPageProps) {
  return (
    <Page frame={frame} title={TITLES[code]} section={null}>
      <h1>{TITLES[code]}</h1>
      <div class="problem" role="alert">
        <p>{message}</p>
      </div>
      {code === "unavailable" && <p>This page shows no ports now. That says nothing about the network; try again in a moment.</p>}
      <p>
        <a href={paths.services()}>Go to the ports</a>
      </p>
    </Page>
  );
}

/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Child } from "hono/jsx";
import type { Label } from "../api/labels.ts";
import { formatUtc, formatWhen } from "./format.ts";
import { MarkIcon, type Mark } from "./icons.tsx";

/** Words that a page may say about a service, a job or a shard. */
export type StateWord =
  | "open"
  | "missing"
  | "closed"
  | "silent"
  | "active"
  | "retired"
  | "running"
  | "paused"
  | "complete"
  | "incomplete"
  | "waiting"
  | "partial"
  | "abandoned";

const MARKS: Readonly<Record<StateWord, Mark>> = {
  open: "full",
  missing: "half",
  closed: "ring",
  silent: "ring",
  active: "full",
  retired: "cross",
  running: "dots",
  paused: "half",
  waiting: "ring",
  complete: "check",
  partial: "half",
  incomplete: "cross",
  abandoned: "cross",
};

/** Icon, word and colour together: never colour alone. */
export function State({ word }: { readonly word: StateWord }) {
  return (
    <span class={`state state-${word}`}>
      <MarkIcon mark={MARKS[word]} />
      {word}
    </span>
  );
}

const LABEL_WORDS: Readonly<Record<Label, { readonly word: string; readonly meaning: string }>> = {
  "never-covered": { word: "never covered", meaning: "No complete look ever held it: nothing can close it yet" },
  unmonitored: { word: "unmonitored", meaning: "No plan covers it any more: its state is not looked after" },
  stale: { word: "stale", meaning: "No plan covered it within its interval: unknown today" },
  reopened: { word: "reopened", meaning: "Seen again after it had been closed" },
  tainted: { word: "tainted", meaning: "Those who saw it last signed with keys that are revoked" },
};

/** What is said plainly beside a state. */
export function LabelTag({ label }: { readonly label: Label }) {
  const { word, meaning } = LABEL_WORDS[label];
  return (
    <span class={`tag tag-${label}`} title={meaning}>
      {word}
    </span>
  );
}

/** A moment: short for the eye, exact in UTC for machines and on hover. */
export function When({ timeMs, nowMs }: { readonly timeMs: number; readonly nowMs: number }) {
  return (
    <time datetime={new Date(timeMs).toISOString()} title={formatUtc(timeMs)}>
      {formatWhen(timeMs, nowMs)}
    </time>
  );
}

/** Says what is not there, why, and the command that changes it. */
export function Empty({ title, children }: { readonly title: string; readonly children?: Child }) {
  return (
    <section class="empty" aria-label={title}>
      <h2>{title}</h2>
      {children}
    </section>
  );
}

export function Command({ text }: { readonly text: string }) {
  return (
    <pre>
      <code>{text}</code>
    </pre>
  );
}

/** A part of the filter as a link that takes it away. */
export function RemovableChip({ text, href }: { readonly text: string; readonly href: string }) {
  return (
    <a class="chip" href={href}>
      <span>
        <span class="visually-hidden">Remove filter </span>
        {text}
      </span>
      <span class="x" aria-hidden="true">
        ✕
      </span>
    </a>
  );
}

/** Paging by keys: there is no page number, because rows come and go between two looks. */
export function Pager(props: {
  readonly label: string;
  readonly previous: string | null;
  readonly next: string | null;
  readonly where: string;
}) {
  return (
    <nav class="pager" aria-label={props.label}>
      {props.previous !== null && (
        <a class="button button-quiet" href={props.previous} rel="prev">
          ← Previous
        </a>
      )}
      {props.next !== null && (
        <a class="button button-quiet" href={props.next} rel="next">
          Next →
        </a>
      )}
      <span class="where">{props.where}</span>
    </nav>
  );
}

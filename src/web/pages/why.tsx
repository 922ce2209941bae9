/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Certificate } from "../../core/certificate/schema.ts";
import { explain, type ExplainedConfirm, type ExplainedMiss, type ExplainedSighting } from "../explain.ts";
import { formatCount, formatUtc, plural, shortId } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import { Command, State } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { Vantage } from "../../ledger/vantage.ts";
import { Vantages } from "./vantages.tsx";
import { serviceName } from "../../core/service-names.ts";
import type { ScannerSeen } from "../vantage.ts";

export type WhyPageProps = {
  readonly frame: Frame;
  readonly certificate: Certificate;
  readonly vantages: readonly Vantage[];
  readonly scanners: readonly ScannerSeen[];
};

/** A verdict and everything that it rests on, in the order in which it came about. */
export function WhyPage({ frame, certificate, vantages, scanners }: WhyPageProps) {
  const { address, protocol, port } = certificate.service;
  const { verdict, rules, sightings, misses, confirms } = explain(certificate, scanners);
  const name = serviceName(protocol, port);
  const portText = `${port}/${protocol}`;
  return (
    <Page frame={frame} title={`Why ${address} ${portText} is ${certificate.verdict}`} section="ports">
      <p class="crumb">
        <a href={paths.services()}>Ports</a> › <a href={paths.host(address)}>{address}</a>
      </p>
      <h1>
        Why is <span class="mono">{portText}</span> {certificate.verdict}?
      </h1>
      <p class="lede">
        <State word={certificate.verdict} /> on <span class="mono">{address}</span>
        {name !== null && `, registered for ${name}`}
      </p>
      <section class="verdict" aria-label="In short">
        <p>
          <strong>{verdict}</strong>
        </p>
        {rules.map((rule) => (
          <p>{rule}</p>
        ))}
      </section>
      <ol class="course">
        <Seen sightings={sightings} />
        {misses.map((miss) => (
          <Missed miss={miss} />
        ))}
        {confirms.map((confirm) => (
          <Confirmed confirm={confirm} />
        ))}
      </ol>
      <Vantages rows={[{ service: certificate.service, vantages }]} nowMs={frame.nowMs} />
      <Proof certificate={certificate} />
    </Page>
  );
}

function Seen({ sightings }: { readonly sightings: readonly ExplainedSighting[] }) {
  return (
    <li class="course-open">
      <h2>Last seen open</h2>
      <ul class="plain-list">
        {sightings.map(({ atMs, by, region, how, job, record }) => (
          <li>
            <Moment timeMs={atMs} /> by <strong>{by}</strong>
            {region !== "" && ` in ${region}`}, {how}
            {job !== null && (
              <>
                {" "}
                of <a href={paths.job(job)}>job {shortId(job)}</a>
              </>
            )}{" "}
            <RecordId id={record} />
          </li>
        ))}
      </ul>
    </li>
  );
}

function Missed({ miss }: { readonly miss: ExplainedMiss }) {
  const { job, plan, tile, completeAtMs, plannedAtMs, scanners, releasedBy } = miss;
  return (
    <li class="course-missing">
      <h2>A complete look missed it</h2>
      <p>
        {completeAtMs !== null && (
          <>
            <Moment timeMs={completeAtMs} />{" "}
          </>
        )}
        <a href={paths.job(job)}>job {shortId(job)}</a> of {plan}, planned <Moment timeMs={plannedAtMs} /> with every sighting above known.
      </p>
      <p>
        All of tile {formatCount(tile)} was scanned by <strong>{scanners.join(", ")}</strong>: {plural(scanners.length, "scanner")}, every
        shard complete.
      </p>
      {releasedBy !== null && <p>The brake held this tile; it was released by {releasedBy}.</p>}
    </li>
  );
}

function Confirmed({ confirm }: { readonly confirm: ExplainedConfirm }) {
  const { scanner, region, basis, answer, connects, atMs, record } = confirm;
  return (
    <li class="course-closed">
      <h2>A probe confirmed it</h2>
      <p>
        <Moment timeMs={atMs} /> <strong>{scanner}</strong> in {region}: {answer} in {plural(connects, "try", "tries")},{" "}
        {basis === "sighter" ? "asked because it was the last one to have seen it" : "asked as one of two"}. <RecordId id={record} />
      </p>
    </li>
  );
}

function Proof({ certificate }: { readonly certificate: Certificate }) {
  const { address, protocol, port } = certificate.service;
  return (
    <section class="proof" aria-labelledby="proof-heading">
      <h2 id="proof-heading">Check it yourself</h2>
      <p>
        {plural(certificate.records.length, "signed record")} make this verdict. A checker that shares no code with the ledger follows the
        rules from them alone:
      </p>
      <Command text={`npx portolan service why ${address} ${port}/${protocol} --json | npx portolan certificate check -`} />
    </section>
  );
}

/** Exact, because evidence is compared by time. */
function Moment({ timeMs }: { readonly timeMs: number }) {
  return <time datetime={new Date(timeMs).toISOString()}>{formatUtc(timeMs)}</time>;
}

function RecordId({ id }: { readonly id: string }) {
  return (
    <span class="quiet mono" title={`Record ${id}`}>
      {shortId(id)}
    </span>
  );
}

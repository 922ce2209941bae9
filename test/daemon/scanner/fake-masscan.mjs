// Stands in for masscan: takes the same arguments, and does what FAKE_MASSCAN (JSON) tells it to.
//   version, echo (text that replaces values, e.g. {"seed": "1"}), echoError
//   sightings: number of open pairs to print; lines: extra raw output; cut: characters taken off the end of the output
//   percent, waits: seconds of waiting to count down, secondMs: how long each takes; exitCode; stderr: extra lines; resume: as after SIGINT
//   untilPoked: file; goes on with negative seconds until it exists; never: ignores SIGTERM and does not end; tickMs
import { existsSync, readFileSync } from "node:fs";

const how = JSON.parse(process.env.FAKE_MASSCAN ?? "{}");
const argv = process.argv.slice(2);
const option = (name) => argv[argv.indexOf(name) + 1];
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const tickMs = how.tickMs ?? 20;

if (argv.includes("--version")) {
  process.stdout.write(`\nMasscan version ${how.version ?? "1.3.2"} ( https://example.org )\n`);
  process.exit(1);
}
const ranges = readFileSync(option("-iL"), "utf8").trim().split("\n");
if (argv.includes("--echo")) {
  const values = {
    seed: option("--seed"),
    rate: option("--rate"),
    shard: option("--shard"),
    retries: option("--retries"),
    ports: option("-p"),
  };
  for (const [name, value] of Object.entries({ ...values, ...how.echo })) process.stdout.write(`${name} = ${value}\n`);
  for (const range of how.echoRanges ?? ranges) process.stdout.write(`range = ${range}\n`);
  if (how.echoError) process.stderr.write(`${how.echoError}\n`);
  process.exit(0);
}
if (how.never) process.on("SIGTERM", () => {});

const status = (percent, tail) => process.stderr.write(`rate:  1.00-kpps, ${percent.toFixed(2)}% done, ${tail}, found=1       \r`);
const base = ranges[0].split("/")[0].split(".").slice(0, 2).join(".");
let text = "";
const write = async (line) => {
  text += line;
  if (text.length < 60_000) return;
  const piece = text;
  text = "";
  if (!process.stdout.write(piece)) await new Promise((resolve) => process.stdout.once("drain", resolve));
};
process.stderr.write("Starting masscan 1.3.2\nInitiating SYN Stealth Scan\n");
status(1, "  0:00:13 remaining");
for (let index = 0; index < (how.sightings ?? 10); index += 1) {
  const ip = `${base}.${(index >> 8) & 255}.${index & 255}`;
  await write(
    `{"ip":"${ip}","timestamp":"1795180783","port":80,"proto":"tcp","rec_type":"status","data":{"status":"open","reason":"syn-ack","ttl":64}}\n`,
  );
}
text += how.lines ?? "";
if (how.cut) text = text.slice(0, -how.cut);
process.stdout.write(text);
if (how.resume) process.stderr.write("waiting several seconds to exit...\nsaving resume file to: paused.conf\n");
if (how.stderr) process.stderr.write(`${how.stderr}\n`);
if (how.killSelf) process.kill(process.pid, how.killSelf);
const percent = how.percent ?? 100;
if (percent < 100 && !how.resume) status(percent, "  0:00:13 remaining");
for (let seconds = how.waits ?? 1; seconds >= 0 && how.waits !== null; seconds -= 1) {
  status(percent, `waiting ${seconds}-secs`);
  await wait(seconds === 0 ? tickMs : (how.secondMs ?? 30));
}
for (let late = 1; how.never || (how.untilPoked && !existsSync(how.untilPoked)); late += 1) {
  status(percent, `waiting ${-late}-secs`);
  await wait(tickMs);
}
process.exitCode = how.exitCode ?? 0;

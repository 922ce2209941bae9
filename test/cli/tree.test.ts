import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Command, Help } from "commander";
import { expect, test } from "vitest";
import { commandsDocument } from "../../src/cli/document.ts";
import { exitCodeLines } from "../../src/cli/exit-codes.ts";
import { EXIT, type Io } from "../../src/cli/io.ts";
import { createProgram } from "../../src/cli/program.ts";
import { ROOT } from "../../src/local/tools.ts";

const said: string[] = [];
const sink = { isTTY: false, columns: 100, write: (text: string) => void said.push(text), stream: null };
const io: Io = {
  stdout: sink,
  stderr: sink,
  env: {},
  cwd: "/",
  fetch: () => Promise.reject(new Error("help asks nobody")),
  now: () => 0,
  sleep: async () => undefined,
  signal: new AbortController().signal,
};
const program = createProgram(io, () => undefined);

function walk(command: Command, path: readonly string[] = []): { readonly path: string; readonly command: Command }[] {
  const visible = new Help().visibleCommands(command).filter((child) => child.name() !== "help");
  return [{ path: path.join(" "), command }, ...visible.flatMap((child) => walk(child, [...path, child.name()]))];
}
const all = walk(program);

function helpOf(command: Command): string {
  said.length = 0;
  command.outputHelp();
  return said.join("");
}

test("every command says in one line what it does, and so does every option", () => {
  for (const { path, command } of all) {
    expect([path, command.description()]).toEqual([path, expect.stringMatching(/\S{2,}/)]);
    expect([path, command.description().includes("\n")]).toEqual([path, false]);
    for (const option of command.options)
      expect([path, option.flags, option.description]).toEqual([path, option.flags, expect.stringMatching(/\S/)]);
  }
});

test("every command that takes something to say, or changes something, shows how in an example", () => {
  const changing = /^(add|set|import|export|diff|why|check|doctor|completion|restore|promote|rebuild|watch|deny|config|once)$/;
  const silent = all.filter(({ command }) => {
    const needs = changing.test(command.name()) || command.options.length >= 5;
    return needs && command.commands.length === 0 && !hasExample(command);
  });
  expect(silent.map(({ path }) => path)).toEqual([]);
});

/** In its own help, or in that of the commands that it stands among. */
function hasExample(command: Command): boolean {
  const below = (of: Command): string => helpOf(of).split("Options:").slice(1).join("");
  const { parent } = command;
  if (/portolan [a-z]/.test(below(command))) return true;
  if (parent === null || parent === program) return false;
  return [parent.name(), ...parent.aliases()].some((noun) => below(parent).includes(`portolan ${noun} ${command.name()}`));
}

test("no option means two things: none is declared twice, and none hides one that every command has", () => {
  const names = (command: Command): string[] =>
    command.options.flatMap(({ short, long }) => [short, long]).filter((name) => name !== undefined);
  const general = names(program);
  for (const { path, command } of all) {
    const own = names(command);
    expect([path, own.filter((name, index) => own.indexOf(name) !== index)]).toEqual([path, []]);
    if (command !== program) expect([path, own.filter((name) => general.includes(name))]).toEqual([path, []]);
  }
});

test("no two commands of one level share a name or an alias", () => {
  for (const { path, command } of all) {
    const names = command.commands.flatMap((child) => [child.name(), ...child.aliases()]);
    expect([path, names.filter((name, index) => names.indexOf(name) !== index)]).toEqual([path, []]);
  }
});

test("every example calls a command that there is, with options that it has", () => {
  const known = new Map(all.flatMap(({ path, command }) => aliasesOf(path, command).map((name) => [name, command] as const)));
  const general = program.options.flatMap(({ short, long }) => [short, long]);
  for (const { path, command } of all) {
    for (const line of helpOf(command)
      .split("\n")
      .filter((text) => /^ {2}portolan /.test(text))) {
      const words = (line.trim().split(/ {3,}|[|>;<]/)[0] ?? "").trim().split(" ").slice(1);
      const [two, one] = [known.get(words.slice(0, 2).join(" ")), known.get(words[0] ?? "")];
      const called = two ?? one;
      expect([path, line, called === undefined]).toEqual([path, line, false]);
      const options = [...(called?.options ?? []).flatMap(({ short, long }) => [short, long]), ...general, "--help"];
      const used = words.filter((word) => /^--?[a-z]/.test(word)).map((word) => word.split("=")[0]);
      const takesRest = called?.registeredArguments.some(({ variadic }) => variadic) === true;
      if (!takesRest) expect([line, used.filter((word) => !options.includes(word))]).toEqual([line, []]);
    }
  }
});

function aliasesOf(path: string, command: Command): string[] {
  const parent = path.split(" ").slice(0, -1);
  const prefixes =
    parent.length === 0 ? [""] : [parent[0] ?? "", ...(program.commands.find((child) => child.name() === parent[0])?.aliases() ?? [])];
  return prefixes.flatMap((prefix) => [command.name(), ...command.aliases()].map((name) => `${prefix} ${name}`.trim()));
}

test("the help of the whole program lists every exit code once, with its meaning", () => {
  const help = helpOf(program);
  for (const line of exitCodeLines()) expect(help).toContain(line);
  expect(exitCodeLines()).toHaveLength(Object.keys(EXIT).length);
  expect(Object.values(EXIT)).toEqual([0, 1, 2, 3, 4, 5, 6, 130]);
});

test("docs/cli.md is what the commands say of themselves; node src/cli/document-main.ts writes it anew", () => {
  expect(readFileSync(join(ROOT, "docs/cli.md"), "utf8")).toBe(commandsDocument(createProgram(io, () => undefined)));
});

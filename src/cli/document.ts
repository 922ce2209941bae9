import { type Command, Help } from "commander";
import { exitCodeLines } from "./exit-codes.ts";

const HEAD = `# The command line

Written by \`node src/cli/document-main.ts\` from the commands themselves; every command tells the same with \`--help\`.

Data goes to standard output, everything else to standard error. Tables are for people; \`--json\` is one document, \`--ndjson\` one value a
line. A command that is repeated does no harm.
`;

/** Text of docs/cli.md: every visible command with its options and examples. */
export function commandsDocument(program: Command): string {
  const parts = [
    HEAD,
    "## Options of every command\n",
    block(optionLines(program)),
    "\n## Exit codes\n",
    block(exitCodeLines().map((line) => line.slice(2))),
    ...children(program).flatMap((command) => section(command, [], 2)),
  ];
  return `${parts
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trimEnd()}\n`;
}

function section(command: Command, parents: readonly string[], depth: number): string[] {
  const path = [...parents, command.name()];
  const usage = `portolan ${[...parents, [command.name(), ...command.aliases()].join("|")].join(" ")} ${command.usage()}`.trim();
  const below = children(command);
  return [
    `\n${"#".repeat(depth)} ${path.join(" ")}\n`,
    `${sentence(command.description())}\n`,
    ...(below.length > 0 ? [] : [block([usage, ...spaced(optionLines(command))])]),
    ...examples(command),
    ...below.flatMap((child) => section(child, path, Math.min(depth + 1, 4))),
  ];
}

function children(command: Command): Command[] {
  return new Help().visibleCommands(command).filter((child) => child.name() !== "help");
}

function optionLines(command: Command): string[] {
  const help = Object.assign(new Help(), command.configureHelp());
  const options = help.visibleOptions(command).filter((option) => option.long !== "--help");
  const width = Math.max(0, ...options.map((option) => option.flags.length));
  return options.map((option) => `${option.flags.padEnd(width)}  ${help.optionDescription(option)}`);
}

const spaced = (lines: readonly string[]): string[] => (lines.length === 0 ? [] : ["", ...lines]);
const block = (lines: readonly string[]): string => ["```", ...lines, "```"].join("\n");
const sentence = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;

/** What stands below the options in the help. */
function examples(command: Command): string[] {
  let text = "";
  const before = command.configureOutput();
  command.configureOutput({ writeOut: (piece) => void (text += piece), getOutHelpWidth: () => 100 });
  try {
    command.outputHelp();
  } finally {
    command.configureOutput(before);
  }
  const after = text.slice(text.lastIndexOf(command.helpInformation()) + command.helpInformation().length).trim();
  return after === "" ? [] : [`\n${block(after.split("\n"))}`];
}

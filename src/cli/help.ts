import { Help, type Command, type HelpConfiguration, type Option } from "commander";

/** In this order; what is named nowhere stands under "Further". */
const GROUPS: readonly (readonly [title: string, commands: readonly string[]])[] = [
  ["The first hour:", ["plan", "job", "scanner", "service", "region"]],
  ["What was found:", ["host", "changes", "change", "diff", "certificate", "export", "import", "upload", "scan"]],
  ["What is scanned, and what is not:", ["range-group", "exclude", "known", "group", "deny", "preview"]],
  ["The installation:", ["doctor", "config", "token", "backup", "restore", "ledger", "webhook", "audit", "nats", "completion"]],
];
const FURTHER = "Further:";

/** How every help is laid out. */
export const configureHelp: HelpConfiguration = {
  showGlobalOptions: true,
  // An empty list says nothing to a person.
  optionDescription: (option: Option) => {
    const isEmptyList =
      Array.isArray(option.defaultValue) && option.defaultValue.length === 0 && option.defaultValueDescription === undefined;
    if (!isEmptyList) return new Help().optionDescription(option);
    return option.description;
  },
};

/** Puts the commands of the whole program under headings, those of the first hour first. */
export function groupCommands(program: Command): void {
  program.commandsGroup("The installation:");
  for (const command of program.commands) {
    const group = GROUPS.find(([, names]) => names.includes(command.name()));
    command.helpGroup(group?.[0] ?? FURTHER);
  }
  program.helpCommand("help [command]", "show the help of a command");
}

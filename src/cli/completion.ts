import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";

const EXAMPLES = `
Examples:
  source <(portolan completion bash)          for this shell; in ~/.bashrc for every one
  portolan completion bash > /etc/bash_completion.d/portolan
  portolan completion zsh > "\${fpath[1]}/_portolan"
  portolan completion fish > ~/.config/fish/completions/portolan.fish

The program has to be on the path as "portolan".`;

/** Adds `portolan completion SHELL`, and the hidden command that the shell asks at each press of Tab. Call it after all commands are there. */
export function addCompletion(program: Command): void {
  const root = tab(program, { completionCommandName: "completion" });
  // The library knows a command's own options only; those of the whole program work everywhere.
  const own = [...root.options.values()];
  for (const command of root.commands.values()) {
    for (const { value, description, handler, alias } of own) {
      if (command.options.has(value)) continue;
      if (handler === undefined) command.option(value, description, alias);
      else command.option(value, description, handler, alias);
    }
  }
  const command = program.commands.find((candidate) => candidate.name() === "completion");
  command?.description("print the completion script of a shell").addHelpText("after", EXAMPLES);
}

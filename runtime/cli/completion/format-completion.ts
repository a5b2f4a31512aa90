import { COMMANDS, type CommandName } from "../commands.ts";
import { type CompletedFlag, listFlags } from "./completed-flags.ts";
import { type Shell, SHELLS } from "./shells.ts";

/** Returns the script that completes commands, flags and values in a shell. Ends with a line feed. */
export function formatCompletion(shell: Shell): string {
  const lines = shell === "bash" ? toBash() : shell === "zsh" ? toZsh() : toFish();
  return `${lines.join("\n")}\n`;
}

const NAMES: readonly CommandName[] = COMMANDS.map(({ name }) => name);

/** The words after a command that are no flags. */
function wordsAfter(command: CommandName): readonly string[] {
  if (command === "help") return NAMES;
  if (command === "drain") return ["off"];
  return command === "completion" ? SHELLS : [];
}

/** Cases of a shell's `case`: groups commands or flags with the same words. */
function toCases(entries: readonly (readonly [key: string, words: string])[]): string[] {
  const groups = groupByWords(entries);
  return [...groups].map(
    ([words, own]) => `    ${own.map(([key]) => key).join("|")}) words=${quote(words)} ;;`,
  );
}

/** Node 20 has no `Map.groupBy`. */
function groupByWords(
  entries: readonly (readonly [key: string, words: string])[],
): Map<string, (readonly [string, string])[]> {
  const groups = new Map<string, (readonly [string, string])[]>();
  for (const entry of entries) groups.set(entry[1], [...(groups.get(entry[1]) ?? []), entry]);
  return groups;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Flags of all commands, each once. */
function allFlags(): CompletedFlag[] {
  const flags = new Map<string, CompletedFlag>();
  for (const flag of NAMES.flatMap(listFlags))
    if (!flags.has(flag.flag)) flags.set(flag.flag, flag);
  return [...flags.values()];
}

/** The common part of bash and zsh: sets `words` and `files` for the word at the cursor. */
function toFunctionBody(): string[] {
  const flags = allFlags();
  const valued = flags.filter(({ values }) => values !== "none");
  const values = valued.flatMap(({ flag, values: own }) =>
    typeof own === "string" || own.length === 0 ? [] : [[flag, own.join(" ")] as const],
  );
  const files = valued.filter(({ values: own }) => own === "file").map(({ flag }) => flag);
  return [
    '  local words="" files=0 command="" word="" skip=0',
    // Values of flags are not the command.
    '  for word in "${before[@]}"; do',
    "    if [[ $skip == 1 ]]; then skip=0; continue; fi",
    "    case $word in",
    `    ${valued.map(({ flag }) => flag).join("|")}) skip=1 ;;`,
    "    -*) ;;",
    '    *) if [[ -z $command ]]; then command="$word"; fi ;;',
    "    esac",
    "  done",
    '  case "$previous" in',
    ...toCases(values),
    `    ${files.join("|")}) files=1 ;;`,
    `    ${valued
      .filter(({ values: own }) => typeof own !== "string" && own.length === 0)
      .map(({ flag }) => flag)
      .join("|")}) return ;;`,
    "    *)",
    '      if [[ $current == -* ]]; then case "${command:-start}" in',
    ...toCases(
      NAMES.map((name) => [
        name,
        listFlags(name)
          .map(({ flag }) => flag)
          .join(" "),
      ]),
    ),
    "      esac",
    `      elif [[ -z $command ]]; then words=${quote(NAMES.join(" "))}`,
    '      else case "$command" in',
    ...toCases(
      NAMES.flatMap((name) => {
        const own = wordsAfter(name);
        return own.length === 0 ? [] : [[name, own.join(" ")] as const];
      }),
    ),
    "      esac; fi ;;",
    "  esac",
  ];
}

function toBash(): string[] {
  return [
    "# Completes edgicorn in bash: source <(edgicorn completion bash)",
    "_edgicorn() {",
    '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
    '  local before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")',
    "  COMPREPLY=()",
    ...toFunctionBody(),
    '  if [[ $files == 1 ]]; then mapfile -t COMPREPLY < <(compgen -f -- "$current")',
    '  else mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current"); fi',
    "}",
    "complete -o filenames -F _edgicorn edgicorn",
  ];
}

function toZsh(): string[] {
  return [
    "#compdef edgicorn",
    "# Completes edgicorn in zsh: edgicorn completion zsh > a folder of $fpath/_edgicorn",
    "_edgicorn() {",
    // `words` is the name of zsh for the line, too.
    '  local -a line=("${words[@]}")',
    '  local current="${line[CURRENT]}" previous="${line[CURRENT-1]}"',
    '  local -a before=("${(@)line[2,CURRENT-1]}")',
    ...toFunctionBody(),
    "  if [[ $files == 1 ]]; then _files",
    "  else compadd -- ${=words}; fi",
    "}",
    '_edgicorn "$@"',
  ];
}

function toFish(): string[] {
  const first = `"not __fish_seen_subcommand_from ${NAMES.join(" ")}"`;
  const commands = COMMANDS.map(
    ({ name, help }) => `complete -c edgicorn -f -n ${first} -a ${name} -d ${quote(help)}`,
  );
  const flags = NAMES.flatMap((name) =>
    listFlags(name).map(({ flag, help, values }) => {
      const value =
        values === "none" ? "" : values === "file" ? " -r -F" : ` -x -a ${quote(values.join(" "))}`;
      const when = `"__fish_seen_subcommand_from ${name}"`;
      return `complete -c edgicorn -n ${when} -l ${flag.slice(2)} -d ${quote(help)}${value}`;
    }),
  );
  const words = NAMES.flatMap((name) => {
    const own = wordsAfter(name);
    const when = `"__fish_seen_subcommand_from ${name}"`;
    return own.length === 0
      ? []
      : [`complete -c edgicorn -f -n ${when} -a ${quote(own.join(" "))}`];
  });
  return ["# Completes edgicorn in fish", ...commands, ...words, ...flags];
}

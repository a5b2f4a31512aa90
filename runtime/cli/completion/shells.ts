/** Shells for which there is a script. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

export type Shell = (typeof SHELLS)[number];

/** Returns the shell of a name; `null`: there is no script for it. */
export function findShell(name: string | undefined): Shell | null {
  return SHELLS.find((shell) => shell === name) ?? null;
}

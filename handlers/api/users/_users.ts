/** Files whose name starts with `_` are not routes: this one is shared by the two handlers beside it. */
export interface User {
  id: string;
  name: string;
  language: string;
}

export const users: readonly User[] = [
  { id: "1", name: "Ada Lovelace", language: "Analytical Engine" },
  { id: "2", name: "Grace Hopper", language: "COBOL" },
  { id: "3", name: "Margaret Hamilton", language: "AGC assembly" },
];

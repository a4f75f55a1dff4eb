// What a client may take for granted of lists of values. Compiled, never run.
import type { components } from "./contract.js";

type Schemas = components["schemas"];

// A closed list is a union of its values: a switch that has all of them needs no default, and a value that is added to
// the contract does not compile until somebody has said what becomes of it.
export function decided(decision: Schemas["Decision"]): boolean {
  switch (decision) {
    case "agreed":
      return true;
    case "declined":
      return false;
  }
}

// An open list is a string: a value of tomorrow is taken.
export const tomorrow: Schemas["Problem"]["code"] = "of-tomorrow";

// What has a form for each audience is told apart by `audience`; all have a state.
export function stateOf(seen: Schemas["CaseForPartyOut"] | Schemas["CaseOut"]): string {
  return seen.state;
}

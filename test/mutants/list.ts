import { ACCEPTANCE_MUTANTS } from "./list-acceptance.ts";
import { FOLD_MUTANTS } from "./list-fold.ts";
import { SQL_MUTANTS } from "./list-sql.ts";

/** Who has to find a mistake; the histories under the weakest policy that has the rule in question. */
export type KillerName = "acceptance" | "confirmation" | "log" | "tiles" | "weak" | "chain" | "confirm";

/** A mistake: `from` becomes `to` wherever it stands in one source file, or in all SQL of the ledger. */
export type Mutant = {
  readonly name: string;
  readonly file: string | null;
  readonly from: string;
  readonly to: string;
  readonly killer: KillerName;
};

/** Mistakes in the rules of acceptance and of the verdict; not one of them may survive. */
export const MUTANTS: readonly Mutant[] = [...ACCEPTANCE_MUTANTS, ...FOLD_MUTANTS, ...SQL_MUTANTS];

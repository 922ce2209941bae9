import { verifyText } from "../../src/bus/keys.node.ts";
import { parseAssignmentSubject } from "../../src/bus/names.ts";
import { signedAssignmentSchema } from "../../src/core/messages/bus.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import { assignmentSignedText } from "../../src/core/statement.ts";
import { errorText } from "../log.ts";
import { keyText } from "./finished.ts";

/** What came from the work queue: an assignment to run, or something that is not for us. */
export type CheckedClaim =
  | { readonly kind: "assignment"; readonly assignment: Assignment }
  | { readonly kind: "refused"; readonly reason: string };

/** Whom a scanner obeys. */
export type ClaimRules = { readonly name: string; readonly region: string; readonly keeperPublicKeys: readonly string[] };

/** Checks shape, signature and addressee of one message of the work queue. Never throws. */
export function checkClaim(message: { readonly subject: string; readonly data: Uint8Array }, rules: ClaimRules): CheckedClaim {
  try {
    const { assignment, keeper, signature } = signedAssignmentSchema.parse(JSON.parse(Buffer.from(message.data).toString("utf8")));
    if (!rules.keeperPublicKeys.includes(keeper)) return refused(`its keeper ${keeper} is not one of ours`);
    if (!verifyText(keeper, assignmentSignedText(assignment), signature)) return refused("its signature is wrong");
    if (assignment.scanner !== rules.name || assignment.region !== rules.region) {
      return refused(`it is for scanner ${assignment.scanner} of region ${assignment.region}`);
    }
    if (assignment.key.shard > assignment.shardCount) return refused("its shard is above its shard count");
    const subject = parseAssignmentSubject(message.subject);
    if (subject.scanner !== rules.name || keyText(subject.key) !== keyText(assignment.key))
      return refused("its subject names another assignment");
    return { kind: "assignment", assignment };
  } catch (error) {
    return refused(`it is no assignment: ${errorText(error).slice(0, 300)}`);
  }
}

function refused(reason: string): CheckedClaim {
  return { kind: "refused", reason };
}

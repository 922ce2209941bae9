import type { Sighting } from "../../src/core/columns.ts";
import { assignmentRanges } from "../../src/core/masscan/argv.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import { containsPort, parsePorts } from "../../src/core/port.ts";
import { containsAddress } from "../../src/core/range.ts";

/** Whether a sighting lies in the assignment's tile: anything else is no answer to our probes and is never sent. */
export function tileFilter(task: Pick<Assignment, "ranges" | "ports">): (sighting: Sighting) => boolean {
  const ranges = assignmentRanges(task);
  const ports = parsePorts(task.ports);
  return ({ address, protocol, port }) => containsPort(ports, protocol, port) && containsAddress(ranges, address);
}

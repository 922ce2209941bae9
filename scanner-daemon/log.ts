import { configureSync, getLogger, jsonLinesFormatter, type LogLevel } from "@logtape/logtape";

/** Where a part of the daemon says what a person should know. Fields hold no secrets. */
export type Log = {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warning(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
};

/** JSON lines on standard error from now on, for the whole process. Call it once. */
export function startLog(level: LogLevel): void {
  configureSync({
    reset: true,
    sinks: { lines: (record) => void process.stderr.write(jsonLinesFormatter(record)) },
    loggers: [
      { category: ["logtape", "meta"], sinks: ["lines"], lowestLevel: "warning" },
      { category: ["portolan"], sinks: ["lines"], lowestLevel: level },
    ],
  });
}

/** A log whose lines carry the part's name as their category. Before `startLog` its lines go nowhere. */
export function logFor(part: string): Log {
  const logger = getLogger(["portolan", part]);
  // Messages come from outside too (names, error texts): as a value they cannot be taken for a template.
  return {
    debug: (message, fields = {}) => logger.debug("{message}", { ...fields, message }),
    info: (message, fields = {}) => logger.info("{message}", { ...fields, message }),
    warning: (message, fields = {}) => logger.warning("{message}", { ...fields, message }),
    error: (message, fields = {}) => logger.error("{message}", { ...fields, message }),
  };
}

/** Text of anything thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

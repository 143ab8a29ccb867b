/** What our modules need of a logger; pino's loggers have it. Fields first, then a sentence for people. */
export interface Log {
  /** What only somebody who looks for a fault wants to know. */
  debug(fields: object, message: string): void;
  /** What happened in the ordinary course. */
  info(fields: object, message: string): void;
  /** What may need a look. */
  warn(fields: object, message: string): void;
  /** What needs a look. */
  error(fields: object, message: string): void;
}

/** A logger that says nothing. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

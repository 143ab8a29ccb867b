/** What our modules need of a logger; pino's loggers have it. Fields first, then a sentence for people. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A logger that says nothing. */
export const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} };

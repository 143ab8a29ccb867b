import type { TlsOptions } from '../client/index.js';

/** Where a command's words go. */
export interface Sink {
  readonly isTTY: boolean;
  /** Columns of a terminal; undefined elsewhere. */
  readonly columns: number | undefined;
  readonly print: (text: string | Uint8Array) => void;
}

/** What a command sees of the outside. */
export interface Terminal {
  /** Data, and nothing else. */
  readonly out: Sink;
  /** Logs, progress, errors. */
  readonly err: Sink;
  readonly env: NodeJS.ProcessEnv;
  /** Aborts on the first interrupt (Ctrl-C). */
  readonly interrupt: AbortSignal;
  /** The wall clock, to say "12s ago". */
  readonly now: () => number;
  /** A text that nobody else draws. */
  readonly randomId: () => string;
  /** All of standard input. */
  readonly readInput: () => Promise<string>;
}

/** What people choose for every command. */
export interface ClientSettings {
  readonly coordinator: string;
  readonly output: OutputForm;
  /** Null: 10 s for each call, no limit for waiting. */
  readonly timeoutMs: number | null;
  /** How TLS is spoken, its files found to be usable; null: plaintext. Throws Failure. */
  tls(): Promise<TlsOptions | null>;
}

export type OutputForm = 'table' | 'json' | 'jsonl' | 'yaml' | 'name';

/** Values of the flags that every command has, as given, under the names of their settings. */
export interface CommonFlags {
  readonly 'tls.enabled'?: string;
  readonly 'tls.ca'?: string;
  readonly 'tls.clientCert'?: string;
  readonly 'tls.clientKey'?: string;
  readonly 'tls.serverName'?: string;
  readonly coordinator?: string;
  readonly output?: string;
  readonly timeout?: string;
  readonly config?: string;
}

/** What the composition hands to the commands. */
export interface CliContext {
  readonly terminal: Terminal;
  readonly version: string;
  /** Flags, environment, file and defaults in one. Throws Failure. */
  settings(flags: CommonFlags): Promise<ClientSettings>;
}

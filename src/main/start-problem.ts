import type { ErrorCode } from '../client/index.js';
import type { StoreFault } from '../store/store.js';

/** Why something could not start: its stable code, and the three sentences that every refusal has. */
export interface StartProblem {
  readonly code: ErrorCode;
  readonly what: string;
  readonly because: string;
  readonly try: string;
}

/** How the caller names what it may change: flags on the command line, options in a program. */
export interface OptionNames {
  readonly dbFile: string;
  readonly host: string;
  readonly port: string;
}

/** A field of whatever was thrown. By name, not class: an error's class would have to be loaded with the whole part. */
export const field = (error: unknown, name: string): unknown =>
  typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[name] : undefined;

/** What was thrown, in words. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const storeTries = ({ dbFile }: OptionNames): Readonly<Record<StoreFault, string>> => ({
  locked: `stop the other coordinator, or name another file with ${dbFile}`,
  busy: 'look for another program that has the file open, then start again',
  older: 'start the coordinator on it once: it keeps a copy and upgrades',
  newer: `start the version that wrote it, or a newer one; or name another file with ${dbFile}`,
  corrupt: `restore a backup, or name another file with ${dbFile}; the file was left as it is`,
  full: 'make space on the disk, then start again',
  io: 'check the disk and the rights of the folder, then start again',
  conflict: 'start again; if it happens twice, please report it',
  unknown: 'start again: it reads what is really there',
  other: 'please report it with the log lines above',
});

const STORE_CODES: Readonly<Partial<Record<StoreFault, ErrorCode>>> = {
  locked: 'STORE_LOCKED',
  corrupt: 'STORE_CORRUPT',
  newer: 'STORE_NEWER',
  older: 'STORE_OLDER',
  full: 'STORE_FULL',
};

/** A store says it all in one sentence: "what, because why; try". */
const SENTENCE = /^(.*?),? because:? (.*); (.*)$/s;

/** Why the store could not be opened, or had to be given up. */
export function storeProblem(file: string, error: unknown, names: OptionNames): StartProblem {
  const fault = field(error, 'fault') as StoreFault | undefined;
  const tries = storeTries(names);
  const known = fault !== undefined && fault in tries;
  const [, , because, suggestion] = SENTENCE.exec(messageOf(error)) ?? [];
  const fallback = `check the path and its rights, or name another file with ${names.dbFile}`;
  return {
    code: (known && STORE_CODES[fault]) || 'STORE_UNUSABLE',
    what: `the database ${file} cannot be used`,
    because: because ?? messageOf(error),
    // The store knows the way back from a newer schema: whether the copy from before the upgrade is there.
    try: known && fault !== 'newer' ? tries[fault] : (suggestion ?? fallback),
  };
}

/** The same of a database server: it knows best what to try. */
export function databaseProblem(shown: string, error: unknown): StartProblem {
  const fault = field(error, 'fault') as StoreFault | undefined;
  const [, , because, suggestion] = SENTENCE.exec(messageOf(error)) ?? [];
  return {
    code: (fault !== undefined && STORE_CODES[fault]) || 'STORE_UNUSABLE',
    what: `the database ${shown} cannot be used`,
    because: because ?? messageOf(error),
    try: suggestion ?? 'check --store, and the log of the database server',
  };
}

/** Why the coordinator could not start to listen. The first row that matches. */
export function listenProblem(host: string, port: number, error: unknown, names: OptionNames): StartProblem {
  const message = messageOf(error);
  const has = (code: string): boolean => message.includes(code) || field(error, 'code') === code;
  const what = `cannot listen on ${host}:${port}`;
  if (has('EADDRINUSE')) {
    const suggestion = `stop the other program, or choose another port with ${names.port} (0 lets the system choose)`;
    return { code: 'PORT_IN_USE', what, because: 'another program has the port', try: suggestion };
  }
  if (has('EACCES')) {
    const because = 'this user may not listen on it';
    return { code: 'PORT_DENIED', what, because, try: 'choose a port above 1023' };
  }
  if (has('EADDRNOTAVAIL') || has('ENOTFOUND')) {
    const because = 'the address is not one of this machine';
    return { code: 'HOST_UNKNOWN', what, because, try: `choose another ${names.host}` };
  }
  const suggestion = 'see the log lines above';
  return {
    code: 'START_FAILED',
    what: 'the coordinator could not start',
    because: message,
    try: suggestion,
  };
}

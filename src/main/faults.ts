import { EXIT, Failure, type Problem } from '../cli/index.js';
import type { StoreFault } from '../store/store.js';

// Told by their fields, not their classes: an error's class would have to be loaded with the whole part.
const field = (error: unknown, name: string): unknown =>
  typeof error === 'object' && error !== null ? (error as Record<string, unknown>)[name] : undefined;

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const STORE_TRIES: Readonly<Record<StoreFault, string>> = {
  locked: 'stop the other coordinator, or name another file with --db-file',
  busy: 'look for another program that has the file open, then start again',
  newer: 'start the version that wrote it, or a newer one; or name another file with --db-file',
  corrupt: 'restore a backup, or name another file with --db-file; the file was left as it is',
  full: 'make space on the disk, then start again',
  io: 'check the disk and the rights of the folder, then start again',
  conflict: 'start again; if it happens twice, please report it',
  unknown: 'start again: it reads what is really there',
  other: 'please report it with the log lines above',
};

const STORE_CODES: Readonly<Partial<Record<StoreFault, string>>> = {
  locked: 'STORE_LOCKED',
  corrupt: 'STORE_CORRUPT',
  newer: 'STORE_NEWER',
  full: 'STORE_FULL',
};

/** Why the store could not be opened, or had to be given up. */
export function storeFailure(file: string, error: unknown): Failure {
  const fault = field(error, 'fault') as StoreFault | undefined;
  const known = fault !== undefined && fault in STORE_TRIES;
  const code = (known && STORE_CODES[fault]) || 'STORE_UNUSABLE';
  // The store says it all in one sentence: "what, because why; try".
  const [, , because, suggestion] = /^(.*?),? because:? (.*); (.*)$/s.exec(messageOf(error)) ?? [];
  const fallback = 'check the path and its rights, or name another file with --db-file';
  return new Failure(EXIT.unexpected, code, [
    {
      what: `the database ${file} cannot be used`,
      because: because ?? messageOf(error),
      // The store knows the way back from a newer schema: whether the copy from before the upgrade is there.
      try: known && fault !== 'newer' ? STORE_TRIES[fault] : (suggestion ?? fallback),
    },
  ]);
}

/** Why the coordinator could not start to listen. */
export function listenFailure(host: string, port: number, error: unknown): Failure {
  const message = messageOf(error);
  const has = (code: string): boolean => message.includes(code) || field(error, 'code') === code;
  const what = `cannot listen on ${host}:${port}`;
  if (has('EADDRINUSE')) {
    const suggestion =
      'stop the other program, or choose another port with --port (0 lets the system choose)';
    return new Failure(EXIT.unexpected, 'PORT_IN_USE', [
      { what, because: 'another program has the port', try: suggestion },
    ]);
  }
  if (has('EACCES')) {
    const because = 'this user may not listen on it';
    return new Failure(EXIT.unexpected, 'PORT_DENIED', [{ what, because, try: 'choose a port above 1023' }]);
  }
  if (has('EADDRNOTAVAIL') || has('ENOTFOUND')) {
    const because = 'the address is not one of this machine';
    return new Failure(EXIT.usage, 'HOST_UNKNOWN', [{ what, because, try: 'choose another --host' }]);
  }
  return new Failure(EXIT.unexpected, 'START_FAILED', [
    { what: 'the coordinator could not start', because: message, try: 'see the log lines above' },
  ]);
}

/** Its one sentence, "what by whom, which …: try" or "what: because. Try", in three. */
function stateDirectoryProblem(sentence: string): Problem {
  const [, folder, who, file, mend] =
    /^state directory (.*) is in use by (.*), which holds (.*): (.*)$/s.exec(sentence) ?? [];
  if (folder !== undefined) {
    const because = `${who} holds ${file} in it`;
    return { what: `the state directory ${folder} is in use`, because, try: mend ?? '' };
  }
  const [, what, because] = /^(.*? cannot be taken): (.*?)\. The state directory/s.exec(sentence) ?? [];
  return {
    what: what ?? 'the state directory cannot be used',
    because: because ?? sentence,
    try: 'name a writable directory on a local disk with --state-dir; a damaged lock file may go while no agent runs',
  };
}

/** Why the state directory could not be made. */
export const stateDirectoryFailure = (folder: string, error: unknown): Failure =>
  new Failure(EXIT.badConfiguration, 'STATE_DIRECTORY_UNUSABLE', [
    {
      what: `the state directory ${folder} cannot be made`,
      because: messageOf(error),
      try: 'check the rights of the folder above it, or name another with --state-dir',
    },
  ]);

/** Why an agent could not start, or had to end. Its own errors say what, why and what to try in one text. */
export function agentFailure(error: unknown): Failure {
  if (field(error, 'name') === 'StateDirectoryError') {
    const code = `STATE_DIRECTORY_${String(field(error, 'code'))}`;
    return new Failure(EXIT.badConfiguration, code, [stateDirectoryProblem(messageOf(error))]);
  }
  return new Failure(EXIT.internal, 'AGENT_FAILED', [
    {
      what: 'the agent has ended by a fault',
      because: messageOf(error),
      try: 'see the log lines above, then start it again',
    },
  ]);
}

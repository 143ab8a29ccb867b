import { resolve } from 'node:path';
import { EXIT, Failure, type Problem } from '../cli/index.js';
import { isFolder } from './paths.js';
import { field, listenProblem, messageOf, type OptionNames, storeProblem } from './start-problem.js';
import type { StorePlace } from './store-place.js';

const FLAGS: OptionNames = { dbFile: '--db-file', host: '--host', port: '--port' };

/** Why the store could not be opened, or had to be given up. */
export function storeFailure(file: string, error: unknown): Failure {
  const { code, ...problem } = storeProblem(file, error, FLAGS);
  return new Failure(EXIT.unexpected, code, [problem]);
}

/** The same, wherever the rows are. */
export function placeFailure(place: StorePlace, error: unknown): Failure {
  const { code, ...problem } = place.problem(error, FLAGS);
  return new Failure(EXIT.unexpected, code, [problem]);
}

/** Why the coordinator could not start to listen. */
export function listenFailure(host: string, port: number, error: unknown): Failure {
  const { code, ...problem } = listenProblem(host, port, error, FLAGS);
  return new Failure(code === 'HOST_UNKNOWN' ? EXIT.usage : EXIT.unexpected, code, [problem]);
}

/** Its one sentence, "what by whom, which …: try" or "what: because. Try", in three. */
function stateDirectoryProblem(sentence: string): Problem {
  const [, folder, who, file, mend] =
    /^state directory (.*) is in use by (.*), which holds (.*): (.*)$/s.exec(sentence) ?? [];
  if (folder !== undefined) {
    const because = `${who} holds ${file} in it`;
    return { what: `the state directory ${folder} is in use`, because, try: mend ?? '' };
  }
  const [, newer, line, back] =
    /^(journal .*? was written by a newer agent): (.*?)\. (Start that .*)$/s.exec(sentence) ?? [];
  if (newer !== undefined) return { what: `the ${newer}`, because: line ?? '', try: back ?? '' };
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

/** What a command was given cannot be used. */
export function badConfiguration(what: string, because: string, advice: string): Failure {
  return new Failure(EXIT.badConfiguration, 'BAD_CONFIGURATION', [{ what, because, try: advice }]);
}

/** The folder of DAG files, if it can be read now. Throws Failure. */
export function readableFolder(given: string, flag: string): string {
  const folder = resolve(given);
  if (isFolder(folder)) return folder;
  throw badConfiguration(
    `the bundle ${folder} cannot be read`,
    'it is no folder, or may not be read',
    `make it, or correct ${flag}`,
  );
}

/** Why an agent could not start, or had to end. Its own errors say what, why and what to try in one text. */
export function agentFailure(error: unknown): Failure {
  if (field(error, 'name') === 'StateDirectoryError') {
    const code = `STATE_DIRECTORY_${String(field(error, 'code'))}`;
    return new Failure(EXIT.badConfiguration, code, [stateDirectoryProblem(messageOf(error))]);
  }
  if (field(error, 'name') === 'HandlersError') {
    return new Failure(EXIT.badConfiguration, 'HANDLERS_UNUSABLE', [
      {
        what: 'the handlers cannot be served',
        because: messageOf(error),
        try: 'check the path given with --handlers, and that its default export is defineHandlers({ … })',
      },
    ]);
  }
  if (field(error, 'name') === 'TriggersError') {
    return new Failure(EXIT.badConfiguration, 'TRIGGERS_UNUSABLE', [
      {
        what: 'the triggers cannot be served',
        because: messageOf(error),
        try: 'check the path given with --triggers, and that its default export is defineTriggers([ … ])',
      },
    ]);
  }
  return new Failure(EXIT.internal, 'AGENT_FAILED', [
    {
      what: 'the agent has ended by a fault',
      because: messageOf(error),
      try: 'see the log lines above, then start it again',
    },
  ]);
}

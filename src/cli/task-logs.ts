import { TextDecoder } from 'node:util';
import type { Command } from 'commander';
import type { LogPiece, LogStreamName } from '../client/index.js';
import { flag, wholeNumber } from './flags.js';
import { clientAction, type Session, verb, waiting } from './session.js';
import { addTaskName, decidedTask } from './task-name.js';
import type { CliContext } from './terminal.js';

interface LogFlags {
  readonly follow?: boolean;
  readonly try?: number;
  readonly tail?: number;
}

/** `task logs`: a task's output is the data of this command, so all of it goes to standard output. */
export function addLogs(noun: Command, context: CliContext): void {
  const command = verb(noun, 'logs', 'output of a task');
  addTaskName(command);
  flag(command, '-f, --follow', 'go on until the task has ended', { variable: 'HOLDFAST_LOGS_FOLLOW' });
  flag(command, '--try <N>', 'of this try only', {
    parse: wholeNumber(1, 1_000_000),
    variable: 'HOLDFAST_LOGS_TRY',
  });
  flag(command, '--tail <BYTES>', 'at most so much of what is there already', {
    parse: wholeNumber(1, Number.MAX_SAFE_INTEGER),
    variable: 'HOLDFAST_LOGS_TAIL',
  });
  clientAction<LogFlags>(context, command, async (session, [name = '', task], flags) => {
    const id = await decidedTask(session, name, task);
    const print = printerFor(session, id);
    await waiting(session, `the output of task ${id} has not ended`, async (signal) => {
      const choices = {
        signal,
        follow: flags.follow ?? false,
        tryNumber: flags.try,
        tailBytes: flags.tail,
        onInterrupted: () => session.terminal.err.print('the coordinator is away, trying again\n'),
      };
      // A wrong id or address is told at once, before a stream that would try for ever.
      if (choices.follow) await session.client.tasks.get(id, session.call);
      for await (const piece of session.client.tasks.logs(id, choices)) print(piece);
    });
  });
}

/** Bytes as they are for people; one object a piece for scripts. */
function printerFor(session: Session, taskId: string): (piece: LogPiece) => void {
  const { out } = session.terminal;
  const { output } = session.settings;
  if (output === 'table' || output === 'name') return (piece) => out.print(piece.data);
  // A character may be split over two pieces of one stream: its decoder waits for the rest.
  const decoders = new Map<string, TextDecoder>();
  const decode = (piece: LogPiece, stream: LogStreamName): string => {
    const key = `${piece.fencingToken} ${stream}`;
    const decoder = decoders.get(key) ?? new TextDecoder();
    decoders.set(key, decoder);
    return decoder.decode(piece.data, { stream: true });
  };
  return (piece) => {
    const shape = {
      taskId,
      tryNumber: piece.tryNumber,
      fencingToken: String(piece.fencingToken),
      stream: piece.stream,
      at: piece.at?.toISOString() ?? null,
      text: decode(piece, piece.stream),
    };
    out.print(`${JSON.stringify(shape)}\n`);
  };
}

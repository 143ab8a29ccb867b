import type { Log } from '../kit/log.js';

/** What a process does when it is asked to stop. */
interface StopHandlers {
  /** The first SIGTERM or SIGINT: finish in good order. */
  first(signal: NodeJS.Signals): void;
  /** The second: stop now. */
  second(signal: NodeJS.Signals): void;
  /** SIGHUP: read again what can change while running. */
  reload(): void;
}

/** A fault that nobody caught: said in the log's own form, then the end; the state on disk is made for that. */
export function onFault(log: Log, exitCode: number): void {
  process.on('uncaughtException', (error: unknown) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error({ error: text }, 'a fault of Holdfast itself: this process ends');
    process.exit(exitCode);
  });
}

/** Signals as they come in, from the first moment on. */
export interface StopSignals {
  /** Says what they do. One that came before, while the process was starting, is answered now. */
  answerWith(handlers: StopHandlers): void;
  /** Stops listening. */
  release(): void;
}

/** Listens for signals at once; a second one before there is an answer, and any third, ends the process on the spot. */
export function catchStopSignals(): StopSignals {
  let count = 0;
  let early: NodeJS.Signals | undefined;
  let handlers: StopHandlers | undefined;
  const stop = (signal: NodeJS.Signals): void => {
    count += 1;
    if (count > 2 || (handlers === undefined && count > 1)) process.exit(130);
    if (handlers === undefined) early = signal;
    else if (count === 1) handlers.first(signal);
    else handlers.second(signal);
  };
  const reload = (): void => handlers?.reload();
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', reload);
  return {
    answerWith: (given) => {
      handlers = given;
      if (early !== undefined) given.first(early);
    },
    release: () => {
      process.off('SIGTERM', stop);
      process.off('SIGINT', stop);
      process.off('SIGHUP', reload);
    },
  };
}

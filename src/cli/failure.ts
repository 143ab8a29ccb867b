import { HoldfastError } from '../client/index.js';

/** Exit codes of the program. */
export const EXIT = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  taskFailed: 3,
  notFound: 4,
  conflict: 5,
  timedOut: 6,
  unreachable: 69,
  internal: 70,
  denied: 77,
  badConfiguration: 78,
  interrupted: 130,
} as const;

/** What went wrong, why, and what to try. */
export interface Problem {
  readonly what: string;
  readonly because: string;
  readonly try: string;
}

/** A command that cannot go on, with the exit code that scripts see. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: number;
  /** Stable; empty when the sentence is all there is. */
  readonly code: string;
  readonly problems: readonly Problem[];
  constructor(exitCode: number, code: string, problems: readonly Problem[]) {
    super(problems.map((problem) => problem.what).join('\n'));
    this.exitCode = exitCode;
    this.code = code;
    this.problems = problems;
  }
}

/** A wrong way to call the program. */
export const usage = (what: string, because: string, suggestion: string): Failure =>
  new Failure(EXIT.usage, 'USAGE', [{ what, because, try: suggestion }]);

/** An awaited thing took longer than --timeout. */
export const timedOut = (what: string): Failure =>
  new Failure(EXIT.timedOut, 'TIMED_OUT', [
    { what, because: 'the time given by --timeout is over', try: 'allow more time; nothing was stopped' },
  ]);

/** Interrupted at the terminal: nothing to explain to who did it. */
export const interrupted = (): Failure => new Failure(EXIT.interrupted, '', []);

// By gRPC status number; https://grpc.io/docs/guides/status-codes names them.
const BY_STATUS: Readonly<Record<number, number>> = {
  3: EXIT.usage,
  4: EXIT.timedOut,
  5: EXIT.notFound,
  6: EXIT.conflict,
  7: EXIT.denied,
  9: EXIT.conflict,
  10: EXIT.conflict,
  11: EXIT.usage,
  14: EXIT.unreachable,
  16: EXIT.denied,
};

/** What any error means to the shell and to people. */
export function toFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof HoldfastError) {
    return new Failure(BY_STATUS[error.grpcStatus] ?? EXIT.unexpected, error.code, [
      { what: error.what, because: error.reason, try: error.advice },
    ]);
  }
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new Failure(EXIT.unexpected, 'UNEXPECTED', [
    { what, because: 'this is a fault of Holdfast itself', try: 'please report it with the lines above' },
  ]);
}

/** The lines for standard error. */
export function describeFailure(
  failure: Failure,
  colours: { red(text: string): string; dim(text: string): string },
): string {
  const code = failure.code === '' ? '' : colours.dim(` [${failure.code}]`);
  return failure.problems
    .map(({ what, because, try: suggestion }) =>
      [
        `${colours.red('error:')} ${what}${code}`,
        because === '' ? '' : `  because: ${because}`,
        suggestion === '' ? '' : `  try: ${suggestion}`,
      ]
        .filter((line) => line !== '')
        .join('\n'),
    )
    .map((text) => `${text}\n`)
    .join('');
}

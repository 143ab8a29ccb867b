import { InvalidArgumentError } from 'commander';

/** A run as people name it: DAG/RUN, as `run list` shows it. */
export interface RunRef {
  readonly dagId: string;
  readonly runId: string;
}

/** Throws InvalidArgumentError. */
export function runOf(text: string): RunRef {
  const at = text.indexOf('/');
  if (at > 0 && at < text.length - 1) return { dagId: text.slice(0, at), runId: text.slice(at + 1) };
  throw new InvalidArgumentError('It must be DAG/RUN, as `holdfast run list` shows it.');
}

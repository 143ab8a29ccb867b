import { readFileSync } from 'node:fs';
import { usage } from './failure.js';
import type { Session } from './session.js';
import { shorten } from './words.js';

/** The flags of `task submit` that speak of a handler's input, or must not stand beside one. */
export interface InputFlags {
  readonly input?: string;
  readonly inputType?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly workingDirectory?: string;
  readonly memory?: number;
  readonly cpu?: number;
}

/** A handler is called, not started: what only a process has makes no sense for it. */
export function refuseCommandFlags(argv: readonly string[], flags: InputFlags): void {
  const beside = [
    argv.length > 0 ? 'a command' : '',
    flags.env === undefined ? '' : '--env',
    flags.workingDirectory === undefined ? '' : '--working-directory',
    flags.memory === undefined ? '' : '--memory',
    flags.cpu === undefined ? '' : '--cpu',
  ].find((what) => what !== '');
  if (beside === undefined) return;
  throw usage(
    `there is ${beside} as well as --handler`,
    'a handler is called with an input',
    'leave one out',
  );
}

const JSON_TYPE = 'application/json';

/** What a handler is called with: JSON from the flag or a file, or with another content type the bytes of a file. */
export async function readInput(
  session: Session,
  { input, inputType = JSON_TYPE }: InputFlags,
): Promise<{ readonly input?: unknown; readonly inputType?: string }> {
  if (input === undefined) return {};
  const bytes = input.startsWith('@') ? await readSource(session, input.slice(1)) : Buffer.from(input);
  if (inputType !== JSON_TYPE) return { input: bytes, inputType };
  const text = bytes.toString('utf8');
  try {
    return { input: JSON.parse(text) as unknown };
  } catch (error) {
    throw usage(
      `the input ${shorten(text)} is not JSON`,
      (error as Error).message,
      'quote it for the shell, such as \'{"width": 320}\', or name another type with --input-type',
    );
  }
}

async function readSource({ terminal }: Session, path: string): Promise<Buffer> {
  if (path === '-') return Buffer.from(await terminal.readInput());
  try {
    return readFileSync(path);
  } catch (error) {
    throw usage(`cannot read ${path}`, (error as Error).message, 'check the path and its rights');
  }
}

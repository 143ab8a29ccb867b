import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { buildProgram, type CliContext, runProgram } from '../../../src/cli/index.js';
import { clientSettings } from '../../../src/main/settings.js';

/** The program as `npm run build` makes it. */
export const BIN = resolve(import.meta.dirname, '../../../dist/main/bin.js');

/** How a run of the built program ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string;
  readonly cwd?: string;
  /** Sees the process while it runs. */
  readonly meanwhile?: (child: ChildProcess) => unknown;
}

/** An environment that configures nothing: a developer's own settings must not decide a test. */
export function cleanEnvironment(): Record<string, string | undefined> {
  const own = Object.entries(process.env).filter(([name]) => !/^(HOLDFAST_|AIRFLOW__)/.test(name));
  return { ...Object.fromEntries(own), HOME: '/nonexistent' };
}

/** Runs the built program as a user would: an own process, nothing on a terminal, an empty configuration. */
export function holdfast(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const env = { ...cleanEnvironment(), ...options.env };
  return new Promise((resolveRun, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], { env, cwd: options.cwd ?? '/' });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolveRun({ code, stdout, stderr }));
    child.stdin.end(options.input ?? '');
    Promise.resolve(options.meanwhile?.(child)).catch(reject);
  });
}

/** Runs a client command within the test: the same words, without the cost of a process. */
export async function inProcess(
  args: readonly string[],
  options: Pick<RunOptions, 'env' | 'input'> = {},
): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  const env = { ...options.env };
  const context: CliContext = {
    version: '0.0.0',
    settings: (flags) => clientSettings(flags, env),
    terminal: {
      env,
      out: {
        isTTY: false,
        columns: undefined,
        print: (text) => {
          stdout += textOf(text);
        },
      },
      err: {
        isTTY: false,
        columns: undefined,
        print: (text) => {
          stderr += textOf(text);
        },
      },
      interrupt: new AbortController().signal,
      now: () => Date.now(),
      randomId: () => `id${Math.random()}`,
      readInput: () => Promise.resolve(options.input ?? ''),
    },
  };
  const code = await runProgram(buildProgram(context), context, args);
  return { code, stdout, stderr };
}

const textOf = (text: string | Uint8Array): string =>
  typeof text === 'string' ? text : Buffer.from(text).toString();

import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { RunSpec, StartFailureCode } from './protocol.js';

/*
 * A shell stands between the runner and the command, so a command that cannot be executed would look like one that
 * exits with 126 or 127. What can be known beforehand is therefore checked beforehand.
 */

/** A command that can be executed, or why not. */
export type Lookup =
  | { readonly kind: 'found'; readonly argv: readonly string[] }
  | { readonly kind: 'failed'; readonly code: StartFailureCode; readonly text: string };

/** The PATH of a command whose environment has none. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Shells drop other names from the environment without a word; better to say so. */
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

const failed = (code: StartFailureCode, text: string): Lookup => ({ kind: 'failed', code, text });

/** Checks the specification, the working directory and the program, in that order. */
export function lookUp(spec: RunSpec, environment: Readonly<Record<string, string>>): Lookup {
  const cwd = resolve(spec.cwd ?? '.');
  return malformed(spec) ?? badDirectory(cwd) ?? findProgram(spec, cwd, environment.PATH || DEFAULT_PATH);
}

function malformed(spec: RunSpec): Lookup | null {
  if (!spec.argv[0]) return failed('EINVAL', 'the command is empty: give a program to run');
  if (spec.argv.some((arg) => arg.includes('\0'))) {
    return failed('EINVAL', 'an argument of the command contains a NUL byte: no program can be given that');
  }
  for (const [name, value] of Object.entries(spec.env)) {
    if (!VARIABLE_NAME.test(name)) {
      return failed(
        'EINVAL',
        `environment variable ${JSON.stringify(name)}: use letters, digits and underscores, not starting with a digit`,
      );
    }
    if (value.includes('\0')) return failed('EINVAL', `environment variable ${name} contains a NUL byte`);
  }
  return null;
}

function badDirectory(cwd: string): Lookup | null {
  const fault = faultOf(() => {
    if (!statSync(cwd).isDirectory()) return 'it is not a directory';
    accessSync(cwd, constants.X_OK);
    return null;
  });
  return fault === null ? null : failed('BAD_CWD', `working directory ${cwd} cannot be used: ${fault}`);
}

function findProgram(spec: RunSpec, cwd: string, path: string): Lookup {
  const [program = '', ...args] = spec.argv;
  if (program.includes('/')) {
    const fault = faultOf(() => executableFault(resolve(cwd, program)));
    if (fault === null) return { kind: 'found', argv: spec.argv };
    return failed(fault === MISSING ? 'ENOENT' : 'EACCES', `program ${program} cannot be executed: ${fault}`);
  }
  let denied: string | null = null;
  for (const folder of path.split(delimiter)) {
    const candidate = join(resolve(cwd, folder || '.'), program);
    const fault = faultOf(() => executableFault(candidate));
    // By its full name: a bare one could meet a shell's builtin (`echo`, `exit`) instead of the program.
    if (fault === null) return { kind: 'found', argv: [candidate, ...args] };
    if (fault !== MISSING) denied ??= `${candidate}: ${fault}`;
  }
  if (denied !== null) return failed('EACCES', `program ${program} cannot be executed: ${denied}`);
  return failed('ENOENT', `program ${program} was not found on the PATH of this agent (${path})`);
}

const MISSING = 'there is no such file';

function executableFault(file: string): string | null {
  if (!statSync(file).isFile()) return 'it is not a file';
  accessSync(file, constants.X_OK);
  return null;
}

/** The fault that `check` finds, or the file system's own in words. */
function faultOf(check: () => string | null): string | null {
  try {
    return check();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return MISSING;
    if (code === 'EACCES' || code === 'EPERM') return 'permission denied';
    return code;
  }
}

import { hash } from 'node:crypto';
import type { CommandWork, HandlerWork, Work } from '../core/rows.js';
import { NAME_PATTERN } from '../kit/ids.js';
import { recordOf } from '../kit/lists.js';
import { encoded } from '../wire/encode.js';
import { TaskSpec } from '../wire/gen/holdfast/v1/task_service.js';
import type { Command, Handler, Work as ProtoWork } from '../wire/gen/holdfast/v1/types.js';
import { LIMITS } from '../wire/limits.js';

/** Refuses the submission: what, because, try. */
export type Wrong = (what: string, because: string, advice: string) => never;

/** Checks what a task is to do. */
export function workOf(work: ProtoWork | undefined, wrong: Wrong): Work {
  switch (work?.work?.$case) {
    case 'command':
      return commandOf(work.work.value, wrong);
    case 'handler':
      return handlerOf(work.work.value, wrong);
    case undefined:
      return wrong(
        'it has no work',
        'a command or a handler is needed',
        'set work.command.argv, such as ["echo", "hello"]',
      );
  }
}

function handlerOf({ name, input, inputType }: Handler, wrong: Wrong): HandlerWork {
  if (!NAME_PATTERN.test(name)) {
    wrong(
      `handler ${JSON.stringify(name.slice(0, 140))} is not a name`,
      'names are 1 to 128 of A-Z a-z 0-9 . _ -, starting with a letter or digit',
      'use the name under which the worker registers it',
    );
  }
  if (input.length > LIMITS.inputBytes) {
    wrong(
      `its input has ${input.length} bytes`,
      `at most ${LIMITS.inputBytes} travel`,
      'store it elsewhere and pass its address',
    );
  }
  if (inputType.length > LIMITS.nameLength || (inputType === '' && input.length > 0)) {
    wrong(
      inputType === '' ? 'its input has no content type' : 'its input_type is too long',
      'the handler must know how to read it',
      'set input_type, such as application/json',
    );
  }
  // A copy: the decoded bytes are a view of the whole message, which must not be kept alive by it.
  return { kind: 'handler', name, input: new Uint8Array(input), inputType };
}

function commandOf(command: Command, wrong: Wrong): CommandWork {
  const { argv, env, workingDirectory } = command;
  if (Buffer.byteLength(workingDirectory) > 4_096) {
    wrong(
      'its working directory is longer than 4096 bytes',
      'no system takes a longer path',
      'use a shorter one',
    );
  }
  if (argv.length === 0 || argv[0] === '')
    wrong('its command is empty', 'there is nothing to run', 'set argv');
  const bytes = argv.reduce((sum, word) => sum + Buffer.byteLength(word), 0);
  if (argv.length > 1_024 || bytes > 64 * 1024) {
    wrong(
      `its command has ${argv.length} words and ${bytes} bytes`,
      'at most 1024 words and 64 KiB travel',
      'pass the rest in a file',
    );
  }
  let envBytes = 0;
  for (const [name, value] of env) {
    envBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      wrong(
        `env ${JSON.stringify(name.slice(0, 64))} is not a variable's name`,
        'no shell could read it',
        'rename it',
      );
    if (name.startsWith('HOLDFAST_'))
      wrong(`env ${name} is reserved`, 'the agent sets these itself', 'use another prefix');
  }
  if (envBytes > 64 * 1024)
    wrong(`its env has ${envBytes} bytes`, 'at most 64 KiB travel', 'pass the rest in a file');
  const words = [...argv, workingDirectory, ...env.values()];
  if (words.some((word) => word.includes('\0')))
    wrong('its command has a NUL character', 'no system call takes one', 'remove it');
  const limits = limitsOf(command, wrong);
  // A copy of the list: one that grew while it was decoded has room for sixteen words more.
  return { kind: 'command', argv: [...argv], env: recordOf(env), workingDirectory, ...limits };
}

/** From 1 MiB to 1 PiB. */
const MEMORY_RANGE = [2 ** 20, 2 ** 50] as const;
/** From a hundredth of a CPU to a thousand of them, in thousandths. */
const CPU_RANGE = [10, 1_000_000] as const;

function limitsOf({ memoryLimitBytes, cpuLimitMillis }: Command, wrong: Wrong) {
  const within = (field: string, value: number, [low, high]: readonly [number, number]): number | null => {
    if (value === 0 || (value >= low && value <= high)) return value === 0 ? null : value;
    return wrong(`${field} is ${value}`, `it must be 0 (none) or from ${low} to ${high}`, 'correct it');
  };
  return {
    memoryLimitBytes: within('memory_limit_bytes', Number(memoryLimitBytes), MEMORY_RANGE),
    cpuLimitMillis: within('cpu_limit_millis', cpuLimitMillis, CPU_RANGE),
  };
}

/** SHA-256 of what was submitted, its key left out: tells the same submission from another one with the same key. */
export function contentHashOf(spec: TaskSpec): string {
  const requiredLabels = sortedMap(spec.requiredLabels);
  const content = {
    ...spec,
    idempotencyKey: '',
    traceparent: '',
    requiredLabels,
    work: sortedWork(spec.work),
  };
  return hash('sha256', encoded(TaskSpec, content), 'hex');
}

function sortedWork(work: ProtoWork | undefined): ProtoWork | undefined {
  if (work?.work?.$case !== 'command') return work;
  const { value } = work.work;
  const env = sortedMap(value.env);
  return env === value.env ? work : { work: { $case: 'command', value: { ...value, env } } };
}

function sortedMap(map: Map<string, string>): Map<string, string> {
  return map.size < 2 ? map : new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}

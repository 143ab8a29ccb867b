import type { TaskRow, Work } from '../rows.js';
import type { Json, TaskDefinition, WorkTemplate } from './definition.js';
import { type Filled, fill, fillInput, fillText, type Scope } from './fill.js';
import type { RunRow } from './rows.js';
import type { ScopeFacts } from './scope.js';
import { parseTemplate } from './template.js';

/** What templates of a run's task know; of one instance once its place and its element are added. */
export function factsOf(run: RunRow, taskId: string, results: Readonly<Record<string, Json>>): ScopeFacts {
  const { dagId, runId, logicalDate, intervalStart, intervalEnd } = run;
  return {
    ...{ dagId, runId, taskId, mapIndex: -1, logicalDate, intervalStart, intervalEnd, results },
    params: JSON.parse(run.params) as Record<string, Json>,
    triggeringAssets: run.consumed.map(({ asset }) => asset),
  };
}

const text = new TextDecoder('utf-8', { fatal: true });
const bytes = new TextEncoder();

/** A task's result as templates see it: JSON as what it says, anything else as text, none as null. */
export function resultOf({ result, resultType }: Pick<TaskRow, 'result' | 'resultType'>): Json {
  if (result === null || result.length === 0) return null;
  try {
    const read = text.decode(result);
    return resultType.startsWith('application/json') ? (JSON.parse(read) as Json) : read;
  } catch {
    // Bytes that are no text have no place in a template; who names them is told that there is nothing.
    return null;
  }
}

/** One template, as a value. */
export function rendered(template: string, scope: Scope): Filled {
  const parsed = parseTemplate(template);
  return parsed.ok ? fill(parsed.template, scope) : parsed;
}

export function renderedText(template: string, scope: Scope): Filled<string> {
  const parsed = parseTemplate(template);
  return parsed.ok ? fillText(parsed.template, scope) : parsed;
}

/** The work of an instance; null for a task that has none. */
export function renderWork(
  work: WorkTemplate,
  scope: Scope,
  instance: Readonly<Record<string, string>>,
): Filled<Work | null> {
  switch (work.kind) {
    case 'none':
      return { ok: true, value: null };
    case 'handler': {
      const input = fillInput(work.input, scope);
      if (!input.ok) return input;
      const none = input.value === null;
      return {
        ok: true,
        value: {
          kind: 'handler',
          name: work.name,
          input: none ? new Uint8Array() : bytes.encode(JSON.stringify(input.value)),
          inputType: none ? '' : 'application/json',
        },
      };
    }
    case 'command':
      return renderCommand(work, scope, instance);
  }
}

function renderCommand(
  work: Extract<WorkTemplate, { kind: 'command' }>,
  scope: Scope,
  instance: Readonly<Record<string, string>>,
): Filled<Work> {
  const argv: string[] = [];
  for (const template of work.argv) {
    const filled = renderedText(template, scope);
    if (!filled.ok) return filled;
    argv.push(filled.value);
  }
  const env: Record<string, string> = { ...instance };
  for (const [name, template] of Object.entries(work.env)) {
    const filled = renderedText(template, scope);
    if (!filled.ok) return filled;
    env[name] = filled.value;
  }
  const folder = renderedText(work.workingDirectory, scope);
  if (!folder.ok) return folder;
  const { memoryLimitBytes, cpuLimitMillis } = work;
  const value = { argv, env, workingDirectory: folder.value, memoryLimitBytes, cpuLimitMillis };
  return { ok: true, value: { kind: 'command', ...value } };
}

/** Bytes that an agent is told of an instance: its input, or its arguments and environment. */
export function sizeOfWork(work: Work): number {
  if (work.kind === 'handler') return work.input.length;
  const texts = [...work.argv, ...Object.entries(work.env).flat(), work.workingDirectory];
  return texts.reduce((sum, one) => sum + bytes.encode(one).length, 0);
}

/** What a command learns of the run that it belongs to, beside what its templates say. */
export function instanceEnv(
  run: RunRow,
  { taskId }: TaskDefinition,
  mapIndex: number,
): Record<string, string> {
  const date = (at: number | null) => (at === null ? '' : new Date(at).toISOString());
  return {
    HOLDFAST_DAG_ID: run.dagId,
    HOLDFAST_RUN_ID: run.runId,
    HOLDFAST_DAG_TASK_ID: taskId,
    HOLDFAST_MAP_INDEX: String(mapIndex),
    HOLDFAST_LOGICAL_DATE: date(run.logicalDate),
    HOLDFAST_DATA_INTERVAL_START: date(run.intervalStart),
    HOLDFAST_DATA_INTERVAL_END: date(run.intervalEnd),
  };
}

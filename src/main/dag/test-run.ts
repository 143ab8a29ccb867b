import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Handler } from '../../agent/handlers/define.js';
import { loadHandlers } from '../../agent/handlers/load.js';
import type { OutputForm } from '../../cli/index.js';
import { coloursFor, EXIT, Failure, present, renderTable, type Terminal } from '../../cli/index.js';
import type { DagDefinition, Json } from '../../core/dag/definition.js';
import { fillParams } from '../../core/dag/params.js';
import { planOf } from '../../core/dag/plan.js';
import { type RunRow, runKeyOf } from '../../core/dag/rows.js';
import { isTimed } from '../../core/dag/timetable.js';
import { openTimetable } from '../../dag/timetable.js';
import { instantOf } from '../../dag/zone.js';
import type { WallMs } from '../../kit/time.js';
import { type LocalInstance, LocalRun } from './local-run.js';
import { LocalWork } from './local-work.js';

export interface TestFlags {
  readonly param?: readonly string[];
  readonly logicalDate?: string;
  readonly handlers?: string;
}

const wrong = (what: string, because: string, advice: string): Failure =>
  new Failure(EXIT.usage, 'USAGE', [{ what, because, try: advice }]);

/** Runs a DAG here and shows how it went. Exit code 3 when it failed. */
export async function testDag(
  terminal: Terminal,
  output: OutputForm,
  definition: DagDefinition,
  flags: TestFlags,
): Promise<number> {
  const row = rowOf(definition, flags, terminal.now() as WallMs);
  const print = (instance: LocalInstance, line: string): void =>
    terminal.err.print(`${nameOf(instance)} | ${line}\n`);
  const work = new LocalWork(await handlersOf(flags.handlers), print);
  const run = new LocalRun(planOf(definition, 1), row, {
    attempt: (instance, what) => {
      const { wait } = instance.task;
      if (wait !== null && instance.tries === 1) print(instance, `the wait for ${wait.kind} is passed over`);
      return work.attempt(instance, what);
    },
    told: (instance) => {
      const { state, tries, message } = instance;
      const more = state === 'running' ? `try ${tries}` : message;
      terminal.err.print(`${nameOf(instance)} ${state}${more === '' ? '' : `: ${more}`}\n`);
    },
  });
  terminal.interrupt.addEventListener('abort', () => {
    run.stop();
    work.stop();
  });
  const { success, instances } = await run.run();
  if (terminal.interrupt.aborted) return EXIT.interrupted;
  await show(terminal, output, row, instances, success);
  return success ? EXIT.ok : EXIT.taskFailed;
}

const nameOf = ({ task, mapIndex }: LocalInstance): string =>
  mapIndex < 0 ? task.taskId : `${task.taskId}[${mapIndex}]`;

/** The run as the coordinator would have it: by its schedule when it has one, else by hand without a date. */
function rowOf(definition: DagDefinition, flags: TestFlags, now: WallMs): RunRow {
  const { dagId, schedule, startDate } = definition;
  const timetable = openTimetable();
  const timed = isTimed(schedule) ? schedule : null;
  const logicalDate =
    dateOf(flags.logicalDate) ?? (timed === null ? null : timetable.previous(timed, now, startDate));
  const before = logicalDate === null || timed === null ? null : timetable.previous(timed, logicalDate, null);
  const runId = `manual__${new Date(logicalDate ?? now).toISOString()}`;
  return {
    ...{
      run: runKeyOf(dagId, runId),
      version: 1,
      dagId,
      runId,
      type: 'manual',
      state: 'running',
      reason: '',
    },
    ...{ definitionVersion: 1, logicalDate, intervalStart: before ?? logicalDate, intervalEnd: logicalDate },
    params: paramsOf(definition, flags.param ?? []),
    ...{ consumed: [], backfill: '', createdAt: now, startedAt: now, endedAt: null },
    ...{ timeoutAt: null, rerunBy: '', sweeps: [], instancesAtEnd: null },
  };
}

function dateOf(written: string | undefined): WallMs | null {
  if (written === undefined) return null;
  const instant = instantOf(written, 'UTC');
  if (instant !== undefined) return instant;
  throw wrong(
    `--logical-date cannot be ${written}`,
    'it must be a date, or a date and time',
    'write 2026-01-31T08:00:00Z',
  );
}

function paramsOf({ params }: DagDefinition, written: readonly string[]): string {
  const given: Record<string, Json> = {};
  for (const one of written) {
    const at = one.indexOf('=');
    if (at < 1)
      throw wrong(`--param cannot be ${one}`, 'it must be a name and a value', 'write --param city=Oslo');
    const [name, text] = [one.slice(0, at), one.slice(at + 1)];
    given[name] = params[name]?.type === 'string' ? text : jsonOr(text);
  }
  const filled = fillParams(params, given);
  if (filled.ok) return JSON.stringify(filled.params);
  throw new Failure(
    EXIT.usage,
    'USAGE',
    filled.faults.map(({ message }) => ({
      what: message,
      because: 'the params of the DAG say so',
      try: 'correct --param NAME=VALUE, or the params of the file',
    })),
  );
}

function jsonOr(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

async function handlersOf(module: string | undefined): Promise<ReadonlyMap<string, Handler>> {
  if (module === undefined) return new Map();
  const loaded = await loadHandlers(pathToFileURL(resolve(module)).href);
  if ('fault' in loaded)
    throw wrong(`the handlers module ${module} is of no use`, loaded.fault, 'see docs/reference/handlers.md');
  return loaded.found;
}

async function show(
  terminal: Terminal,
  output: OutputForm,
  { dagId, runId }: RunRow,
  instances: readonly LocalInstance[],
  success: boolean,
): Promise<void> {
  const state = success ? 'success' : 'failed';
  await present(terminal.out, output, {
    data: {
      ...{ dagId, runId, state },
      tasks: instances.map(({ task, mapIndex, state: of, tries, message, result }) => ({
        ...{
          taskId: task.taskId,
          mapIndex,
          state: of,
          tries,
          message: message === '' ? null : message,
          result,
        },
      })),
    },
    names: instances.map(nameOf),
    table: () => {
      const rows = instances.map((one) => [nameOf(one), one.state, String(one.tries), one.message]);
      const colours = coloursFor(terminal.out, terminal.env);
      return `${renderTable(['TASK', 'STATE', 'TRIES', 'MESSAGE'], rows, colours, terminal.out.columns)}${dagId} ${state}\n`;
    },
  });
}

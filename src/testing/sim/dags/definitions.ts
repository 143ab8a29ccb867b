import type { Deferral } from '../../../agent/core/messages.js';
import type {
  DagDefinition,
  Schedule,
  TaskDefinition,
  TriggerRule,
  TriggerTemplate,
  WorkTemplate,
} from '../../../core/dag/definition.js';
import { DEFAULT_POOL } from '../../../core/dag/definition.js';
import { TRIGGER_RULES } from '../../../core/dag/trigger-rules.js';
import { MINUTE, SECOND, type WallMs } from '../../../kit/time.js';
import type { RunScript } from '../scripts.js';
import type { Chance } from './chance.js';
import type { TriggerScript } from './trigger-thread.js';

export const ASSETS = ['asset-0', 'asset-1'];
export const POOLS = ['pool-0', 'pool-1'];
/** What triggerers of the simulator wait for; the core itself serves `asset` and `external`. */
export const TRIGGER_KINDS = ['file', 'http'];
const RULES = Object.keys(TRIGGER_RULES) as TriggerRule[];

/** What a DAG of the simulator is drawn from. */
export interface DagDraw {
  readonly chance: Chance;
  readonly handler: string;
  /** The coordinator's wall clock. */
  readonly wall: WallMs;
}

/** A DAG of a few tasks, of any shape. */
export function drawDag(draw: DagDraw, dagId: string): DagDefinition {
  const { chance, wall } = draw;
  const tasks: TaskDefinition[] = [];
  const count = 2 + chance.below(5);
  for (let i = 0; i < count; i++) tasks.push(drawTask(draw, `t${i}`, tasks));
  const catchup = chance.is(0.5);
  const schedule = drawSchedule(chance);
  const any = { description: '', oneOf: [], minimum: null, maximum: null };
  return {
    dagId,
    description: '',
    tags: [],
    schedule,
    startDate: chance.is(0.4) ? ((wall - 6 * MINUTE - (wall % MINUTE)) as WallMs) : null,
    endDate: chance.is(0.1) ? ((wall + 10 * MINUTE) as WallMs) : null,
    catchup,
    maxActiveRuns: 1 + chance.below(3),
    maxActiveTasks: 1 + chance.below(4),
    dagrunTimeoutMs: chance.is(0.15) ? 4 * MINUTE : null,
    pausedUponCreation: chance.is(0.1),
    params: {
      list: { ...any, type: 'array', default: [1, 2, 3].slice(chance.below(4)) },
      flag: { ...any, type: 'boolean', default: chance.is(0.8) },
    },
    // What assets make would go on for ever, if it made their events itself.
    tasks: schedule.kind === 'assets' ? tasks.map((task) => ({ ...task, outlets: [] })) : tasks,
  };
}

function drawSchedule(chance: Chance): Schedule {
  const assets = ASSETS.map((asset) => ({ kind: 'asset' as const, asset }));
  return chance.pick<Schedule>([
    { kind: 'none' },
    { kind: 'cron', expression: `*/${chance.pick([2, 5])} * * * *`, timezone: 'UTC' },
    { kind: 'interval', everyMs: chance.pick([90, 200]) * SECOND },
    { kind: 'assets', condition: { kind: chance.pick(['any', 'all']), of: assets } },
  ]);
}

function drawTask({ chance, handler }: DagDraw, taskId: string, before: readonly TaskDefinition[]) {
  const needs = before.filter(() => chance.is(0.45)).map((task) => task.taskId);
  const calls = chance.is(0.15);
  const works: readonly WorkTemplate[] = [
    { kind: 'none' },
    { kind: 'handler', name: handler, input: { list: '{{ params.list }}' } },
    {
      ...{ kind: 'command', argv: ['true', '{{ run_id }}'], env: {}, workingDirectory: '' },
      ...{ memoryLimitBytes: null, cpuLimitMillis: null },
    },
  ];
  const named = needs.length > 0 && chance.is(0.3) ? `{{ results.${chance.pick(needs)} }}` : null;
  const task: TaskDefinition = {
    taskId,
    needs,
    work: works[chance.is(0.12) ? 0 : calls ? 1 : 2] as WorkTemplate,
    triggerRule: chance.is(0.6) ? 'all_success' : chance.pick(RULES),
    when: chance.is(0.06) ? '{{ params.flag }}' : '',
    shortCircuit: chance.is(0.12),
    expand: chance.is(0.2) ? (named ?? '{{ params.list }}') : '',
    wait: chance.is(0.15) ? drawWait(chance) : null,
    retries: chance.below(3),
    retryBackoff: { initialMs: 5_000, maxMs: 30_000 },
    executionTimeoutMs: chance.is(0.1) ? 20_000 : null,
    queuedTimeoutMs: null,
    killGraceMs: chance.pick([0, 2_000, 10_000]),
    queue: chance.pick(['q0', 'q1']),
    priority: chance.below(3),
    requiredLabels: {},
    pool: chance.is(0.35) ? chance.pick(POOLS) : DEFAULT_POOL,
    poolSlots: 1 + chance.below(2),
    partitionPolicy: chance.pick(['reassign', 'reassign', 'single_run', 'hold']),
    holdTimeoutMs: 5 * MINUTE,
    inlets: [],
    outlets: chance.is(0.2) ? [chance.pick(ASSETS)] : [],
  };
  return task;
}

function drawWait(chance: Chance): TriggerTemplate {
  const { kind, input, timeoutMs } = drawDeferral(chance);
  return { kind, input: JSON.parse(input), timeoutMs };
}

/** Something to wait for; it times out wherever it may never come. */
export function drawDeferral(chance: Chance): Deferral {
  const afterMs = chance.is(0.85) ? 1 + chance.random() ** 2 * 40_000 : null;
  const script: TriggerScript = { afterMs, fails: chance.is(0.15) };
  const state = chance.is(0.5) ? '{"page":2}' : '';
  const mayTakeLong = { state, timeoutMs: 30_000 + chance.random() * 2 * MINUTE };
  const timed = chance.is(0.5) ? { ...mayTakeLong, timeoutMs: null } : mayTakeLong;
  if (chance.is(0.1)) return { ...mayTakeLong, kind: 'asset', input: `{"asset":"${chance.pick(ASSETS)}"}` };
  if (chance.is(0.1)) return { ...mayTakeLong, kind: 'external', input: '{}' };
  const input = JSON.stringify(script);
  return { ...(afterMs === null ? mayTakeLong : timed), kind: chance.pick(TRIGGER_KINDS), input };
}

const RESULTS = ['[1,2]', '[]', 'false', '0', '"text"', '{"rows":3}', 'null'];

/** How the run of an instance goes. */
export function drawScript(chance: Chance): RunScript {
  const end = chance.random();
  return {
    durationMs: chance.random() ** 3 * 30_000,
    outcome: end < 0.84 ? 'success' : end < 0.95 ? 'failed' : 'skipped',
    result: chance.is(0.5) ? chance.pick(RESULTS) : null,
    deferral: chance.is(0.15) ? drawDeferral(chance) : null,
    stubborn: chance.is(0.2),
    deadly: chance.is(0.01),
  };
}

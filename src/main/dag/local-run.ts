import type { Json, TaskDefinition } from '../../core/dag/definition.js';
import { isTruthy } from '../../core/dag/fill.js';
import { DAG_LIMITS } from '../../core/dag/limits.js';
import { type Plan, taskOf } from '../../core/dag/plan.js';
import { factsOf, instanceEnv, rendered, renderWork } from '../../core/dag/render.js';
import type { RunRow } from '../../core/dag/rows.js';
import { RunView, standingOf } from '../../core/dag/run-view.js';
import { type ScopeFacts, scopeOf } from '../../core/dag/scope.js';
import { decideByRule } from '../../core/dag/trigger-rules.js';
import type { TaskState, Work } from '../../core/rows.js';
import type { TaskId } from '../../kit/ids.js';

/** How one try ended. */
export interface TryEnd {
  readonly success: boolean;
  /** Ended well, with nothing to do. */
  readonly skipped?: boolean;
  readonly message: string;
  readonly result: Json;
  /** Another try would fail the same way. */
  readonly final: boolean;
}

/** A task instance of the run. */
export interface LocalInstance {
  readonly task: TaskDefinition;
  readonly mapIndex: number;
  state: Extract<TaskState, 'scheduled' | 'running' | 'success' | 'failed' | 'skipped' | 'upstream_failed'>;
  tries: number;
  message: string;
  result: Json;
}

export interface LocalPorts {
  /** Never rejects. */
  attempt(instance: LocalInstance, work: Work): Promise<TryEnd>;
  told(instance: LocalInstance): void;
}

/** As the coordinator names what ends a task without a try. */
type Unrun = readonly ['skipped' | 'failed' | 'upstream_failed', string];

/**
 * One run of a DAG without a coordinator. What decides is the coordinator's own code (trigger rules, templates, what a
 * short circuit cuts off); only the order of things and the tries are of this file. Retries follow at once, pools and
 * queues have room for everything, and waits are passed over.
 */
export class LocalRun {
  readonly #plan: Plan;
  readonly #view: RunView;
  readonly #ports: LocalPorts;
  readonly #ready: { readonly instance: LocalInstance; readonly work: Work }[] = [];
  readonly #instances = new Map<string, LocalInstance[]>();
  #running = 0;
  #stopped = false;

  constructor(plan: Plan, row: RunRow, ports: LocalPorts) {
    this.#plan = plan;
    this.#view = new RunView(row);
    this.#ports = ports;
  }

  /** Every instance, in the order of the definition, once all is over. */
  async run(): Promise<{ readonly success: boolean; readonly instances: readonly LocalInstance[] }> {
    await new Promise<void>((resolve) => this.#go(resolve));
    const { failed, upstreamFailed } = standingOf(this.#view, this.#plan.leaves);
    const instances = this.#plan.tasks.flatMap(({ taskId }) => this.#instances.get(taskId) ?? []);
    return { success: !this.#stopped && failed + upstreamFailed === 0, instances };
  }

  /** Starts nothing more. */
  stop(): void {
    this.#stopped = true;
    this.#ready.length = 0;
  }

  #go(over: () => void): void {
    if (!this.#stopped) for (const task of this.#plan.tasks) this.#decide(task);
    const most = this.#plan.definition.maxActiveTasks;
    while (this.#running < most) {
      const next = this.#ready.shift();
      if (next === undefined) break;
      this.#running += 1;
      void this.#tryAll(next.instance, next.work).then(() => {
        this.#running -= 1;
        this.#go(over);
      });
    }
    if (this.#running === 0) over();
  }

  async #tryAll(instance: LocalInstance, work: Work): Promise<void> {
    for (;;) {
      instance.tries += 1;
      this.#put(instance, 'running');
      const { success, skipped, message, result, final } = await this.#ports.attempt(instance, work);
      instance.message = message;
      instance.result = result;
      if (skipped === true) return this.#put(instance, 'skipped');
      if (success) return this.#put(instance, 'success');
      if (final || this.#stopped || instance.tries > instance.task.retries)
        return this.#put(instance, 'failed');
    }
  }

  /** Tasks come behind their needs, so one pass decides whatever follows from what has ended without a try. */
  #decide(task: TaskDefinition): void {
    if (this.#instances.has(task.taskId)) return;
    const decision = decideByRule(task.triggerRule, standingOf(this.#view, task.needs));
    if (decision === 'wait') return;
    const results = this.#resultsFor(task);
    const circuits = this.#plan.circuits.get(task.taskId);
    if (circuits.some((circuit) => circuit in results && !isTruthy(results[circuit] ?? null))) {
      return this.#end(task, -1, ['skipped', 'short_circuit']);
    }
    if (decision === 'skip') return this.#end(task, -1, ['skipped', `trigger_rule ${task.triggerRule}`]);
    if (decision === 'upstream_failed') return this.#end(task, -1, ['upstream_failed', '']);
    this.#start(task, factsOf(this.#view.row, task.taskId, results));
  }

  #start(task: TaskDefinition, facts: ScopeFacts): void {
    const scope = scopeOf(facts);
    if (task.when !== '') {
      const wanted = rendered(task.when, scope);
      if (!wanted.ok) return this.#end(task, -1, failedBy(wanted.fault));
      if (!isTruthy(wanted.value)) return this.#end(task, -1, ['skipped', `when ${task.when}`]);
    }
    if (task.expand === '') return this.#startInstance(task, facts);
    const list = rendered(task.expand, scope);
    if (!list.ok) return this.#end(task, -1, failedBy(list.fault));
    if (!Array.isArray(list.value)) return this.#end(task, -1, ['failed', `${task.expand} is no list`]);
    const items = list.value as readonly Json[];
    if (items.length === 0) return this.#end(task, -1, ['skipped', `${task.expand} is empty`]);
    if (items.length > DAG_LIMITS.mappedInstances) {
      return this.#end(task, -1, [
        'failed',
        `${items.length} elements, and at most ${DAG_LIMITS.mappedInstances} are mapped`,
      ]);
    }
    for (const [mapIndex, item] of items.entries()) this.#startInstance(task, { ...facts, mapIndex, item });
  }

  #startInstance(task: TaskDefinition, facts: ScopeFacts): void {
    const { mapIndex } = facts;
    const work = renderWork(task.work, scopeOf(facts), instanceEnv(this.#view.row, task, mapIndex));
    if (!work.ok) return this.#end(task, mapIndex, failedBy(work.fault));
    const instance = this.#add(task, mapIndex);
    if (work.value === null) return this.#put(instance, 'success');
    this.#put(instance, 'scheduled');
    this.#ready.push({ instance, work: work.value });
  }

  /** By task, of those that have succeeded; a mapped one's are a list. */
  #resultsFor(task: TaskDefinition): Record<string, Json> {
    const results: Record<string, Json> = {};
    for (const named of this.#plan.results.get(task.taskId)) {
      const values = (this.#instances.get(named) ?? [])
        .filter(({ state }) => state === 'success')
        .map(({ result }) => result);
      if (taskOf(this.#plan, named).expand !== '') results[named] = values;
      else if (values.length > 0) results[named] = values[0] ?? null;
    }
    return results;
  }

  #end(task: TaskDefinition, mapIndex: number, [state, message]: Unrun): void {
    const instance = this.#add(task, mapIndex);
    instance.message = message;
    this.#put(instance, state);
  }

  #add(task: TaskDefinition, mapIndex: number): LocalInstance {
    const instance: LocalInstance = {
      task,
      mapIndex,
      state: 'scheduled',
      tries: 0,
      message: '',
      result: null,
    };
    this.#instances.set(task.taskId, [...(this.#instances.get(task.taskId) ?? []), instance]);
    return instance;
  }

  #put(instance: LocalInstance, state: LocalInstance['state']): void {
    const { task, mapIndex } = instance;
    instance.state = state;
    const taskId = `${task.taskId} ${mapIndex}` as TaskId;
    const { pool, poolSlots } = task;
    this.#view.put(task.taskId, {
      taskId,
      mapIndex,
      state,
      ready: true,
      gone: false,
      pool,
      poolSlots,
      rank: 0,
    });
    if (state !== 'scheduled') this.#ports.told(instance);
  }
}

const failedBy = ({ what, because, try: advice }: { what: string; because: string; try: string }): Unrun => [
  'failed',
  `${what}, because ${because}; ${advice}`,
];

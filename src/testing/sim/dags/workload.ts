import type { DagDefinition } from '../../../core/dag/definition.js';
import type { AgentId, TaskId } from '../../../kit/ids.js';
import { seededRandom } from '../../../kit/random.js';
import { MINUTE } from '../../../kit/time.js';
import type { AgentNode } from '../agent-node.js';
import type { DutyPorts } from '../agent-world.js';
import type { Auditor } from '../auditor.js';
import type { CoordinatorNode } from '../coordinator-node.js';
import type { EventQueue } from '../events.js';
import type { Process } from '../host.js';
import type { AgentSettings, RunScript } from '../scripts.js';
import { Bundle } from './bundle.js';
import { Chance } from './chance.js';
import { type DagDraw, drawDag, drawDeferral, drawScript, POOLS, TRIGGER_KINDS } from './definitions.js';
import type { Duty } from './duty.js';
import { drawAct } from './operators.js';
import { Processor } from './processor.js';
import { TriggerThread } from './trigger-thread.js';

/** What DAGs need of the world. */
export interface DagWorldPorts {
  readonly events: EventQueue;
  readonly auditor: Auditor;
  readonly coordinator: CoordinatorNode;
  readonly agents: readonly AgentNode[];
  readonly faultsEnd: number;
}

/** Not the world's own: what is drawn for DAGs moves nothing of what is drawn besides. */
const SALT = 0x5eed_da65;
/** Of the worlds with DAGs one in four has people who have runs of backfills done again, by the last digits of its seed. */
const THOROUGH = 14;
const BUNDLES = ['bundle-0', 'bundle-1'];
/** Until then what is begun should have a chance to end, before the faults are over. */
const QUIET_MS = MINUTE;
const LONG_BACKFILL_MS = 30 * MINUTE;
/** After the faults schedules go on for so long; an instant that has come gets its run within so much, where there is room. */
const SCHEDULED_MS = 2 * MINUTE;
const LATE_MS = 3_000;

/**
 * DAGs of a world: bundles that change, two processors for each, triggerers, runs by schedule, asset, hand and backfill,
 * and operators who have a hand in them.
 */
export class DagWorkload {
  readonly chance: Chance;
  readonly settings: readonly AgentSettings[];
  readonly #areThorough: boolean;
  readonly #handler: string;
  readonly #bundles = new Map<string, Bundle>();
  readonly #scripts = new Map<TaskId, RunScript>();
  /** Newest of each triggerer. */
  readonly #threads = new Map<AgentId, TriggerThread>();
  /** Everything that triggers have come to, by payload, whether anybody has heard of it or not. */
  readonly fired = new Map<string, { readonly fails: boolean }>();
  #dags = 0;
  /** Once faults are over: before that something new is scheduled. */
  quietFrom = 0;

  constructor(seed: number, handler: string) {
    this.chance = new Chance(seededRandom((seed ^ SALT) >>> 0));
    this.#handler = handler;
    this.#areThorough = seed % 16 === THOROUGH;
    const triggerers = Array.from({ length: 2 + this.chance.below(2) }, (_, i) => this.#triggerer(i));
    const processors = BUNDLES.flatMap((bundle) => [0, 1].map((i) => processor(bundle, i)));
    this.settings = [...triggerers, ...processors];
  }

  #triggerer(i: number): AgentSettings {
    // Whatever fails, somebody serves both kinds; few slots, so that some have to wait for one.
    const triggerKinds = i === 0 || this.chance.is(0.6) ? TRIGGER_KINDS : TRIGGER_KINDS.slice(0, 1);
    const agentId = `triggerer-${i}` as AgentId;
    return { ...NOTHING, agentId, kind: 'triggerer', slots: 2 + this.chance.below(6), triggerKinds };
  }

  bundle(name: string): Bundle {
    return this.#bundles.get(name) as Bundle;
  }

  /** Triggerers in which a trigger goes on. */
  stillHolding(triggerId: string): AgentId[] {
    return [...this.#threads].filter(([, thread]) => thread.holds(triggerId)).map(([agentId]) => agentId);
  }

  begin(world: DagWorldPorts): void {
    const draw = this.#draw(world);
    for (const name of BUNDLES) this.#bundles.set(name, new Bundle(name, { files: this.#files(draw, name) }));
    for (const pool of POOLS) this.#call(world, pool);
    this.#changeForEver(world);
    this.#actForEver(world);
  }

  #draw({ coordinator }: DagWorldPorts): DagDraw {
    return { chance: this.chance, handler: this.#handler, wall: coordinator.host.wall() };
  }

  #files(draw: DagDraw, bundle: string): Map<string, DagDefinition | undefined> {
    const files = new Map<string, DagDefinition | undefined>();
    for (let i = 0; i < 2; i++) files.set(`${bundle}-${i}.dag.yaml`, drawDag(draw, this.#newDagId(bundle)));
    return files;
  }

  #newDagId(bundle: string): string {
    // Now and then the name of one that the other bundle may have as well.
    return this.chance.is(0.08) ? 'dag-of-both' : `${bundle}-dag-${this.#dags++}`;
  }

  dutyOf({ agentId, kind, bundles }: AgentSettings, process: Process, ports: DutyPorts, auditor: Auditor) {
    const { random } = this.chance;
    const bundle = this.#bundles.get(bundles[0] ?? '');
    if (kind === 'triggerer') {
      const fired = (payload: string, fails: boolean) => void this.fired.set(payload, { fails });
      const thread = new TriggerThread(process, { ...ports, agentId, auditor, fired });
      this.#threads.set(agentId, thread);
      return thread;
    }
    if (bundle === undefined) return null;
    return new Processor(process, { ...ports, agentId, auditor, bundle, random }) satisfies Duty;
  }

  script(taskId: TaskId): RunScript {
    const known = this.#scripts.get(taskId) ?? drawScript(this.chance);
    this.#scripts.set(taskId, known);
    return known;
  }

  /** Of a submitted task, which few of them wait for. */
  deferral(): RunScript['deferral'] {
    return this.chance.is(0.1) ? drawDeferral(this.chance) : null;
  }

  // — files —

  #changeForEver(world: DagWorldPorts): void {
    world.events.after(this.chance.random() * 2 * MINUTE, () => {
      if (world.events.now > world.faultsEnd - QUIET_MS) return;
      this.#change(world, this.chance.pick(BUNDLES));
      this.#changeForEver(world);
    });
  }

  #change(world: DagWorldPorts, name: string): void {
    const bundle = this.bundle(name);
    const files = new Map(bundle.content.files);
    const file = this.chance.pick([...files.keys()]) ?? `${name}-0.dag.yaml`;
    const old = files.get(file);
    const draw = this.#draw(world);
    const what = this.chance.random();
    if (what < 0.45) files.set(file, drawDag(draw, old?.dagId ?? this.#newDagId(name)));
    else if (what < 0.65) files.set(file, undefined);
    else if (what < 0.8 && files.size > 1) files.delete(file);
    else if (files.size < 4) files.set(`${name}-${this.#dags}.dag.yaml`, drawDag(draw, this.#newDagId(name)));
    world.auditor.tell(`${name} changes`);
    this.#put(world, bundle, files);
  }

  #put(world: DagWorldPorts, bundle: Bundle, files: Map<string, DagDefinition | undefined>): void {
    bundle.content = { files };
    for (const { duty, settings } of world.agents)
      if (duty instanceof Processor && settings.bundles.includes(bundle.name)) duty.changed();
  }

  // — people —

  #actForEver(world: DagWorldPorts): void {
    world.events.after(this.chance.random() * 12_000, () => {
      if (world.events.now > world.faultsEnd - QUIET_MS) return;
      const { auditor, coordinator } = world;
      const areThorough = this.#areThorough;
      const wall = coordinator.host.wall();
      const act = drawAct({ chance: this.chance, rows: auditor.dags, wall, areThorough });
      auditor.count(`dag.${act.action}`);
      void coordinator.call((callId) => ({ kind: 'dag', callId, call: act }));
      this.#actForEver(world);
    });
  }

  /** A pool has slots again. */
  #call({ coordinator }: DagWorldPorts, pool: string): void {
    const call = { action: 'set_pool', pool, slots: 3, description: '' } as const;
    void coordinator.call((callId) => ({ kind: 'dag', callId, call }));
  }

  /** Faults are over: nothing is held back any more, and after a while nothing new is scheduled, so that there is an end. */
  heal(world: DagWorldPorts): void {
    for (const pool of POOLS) this.#call(world, pool);
    this.quietFrom = world.events.now + SCHEDULED_MS + LATE_MS + MINUTE;
    world.events.after(SCHEDULED_MS, () => this.#lookAtSchedules(world));
    for (const { backfill, from, to: until } of world.auditor.dags.backfills.values()) {
      // Begun while the wall clock was a day ahead, it may be long.
      const to = until - from > LONG_BACKFILL_MS ? 'cancelled' : 'running';
      const call = { action: 'steer_backfill', backfill, to } as const;
      void world.coordinator.call((callId) => ({ kind: 'dag', callId, call }));
    }
    this.#unpause(world);
  }

  /** I9: by now every DAG that may has the runs of all instants that have come. */
  #lookAtSchedules(world: DagWorldPorts): void {
    const { auditor, coordinator, events } = world;
    const late = auditor.dags.late(coordinator.host.wall());
    events.after(LATE_MS, () => {
      for (const [dagId, at] of auditor.dags.late(coordinator.host.wall()))
        if (late.get(dagId) === at)
          auditor.broken({ rule: 'I9', what: `DAG ${dagId} gets no run for ${new Date(at).toISOString()}` });
      for (const bundle of this.#bundles.values()) this.#end(world, bundle);
    });
  }

  /** Its DAGs make no run any more by themselves. */
  #end(world: DagWorldPorts, bundle: Bundle): void {
    // A DAG whose file is wrong would stay as it was: such files go.
    const good = [...bundle.content.files].filter(([, dag]) => dag !== undefined);
    this.#put(world, bundle, new Map(good.map(([file, dag]) => [file, ending(dag as DagDefinition)])));
  }

  /** At the end: the newest snapshot of every bundle is in force, whatever became of its processors. */
  over({ auditor }: Pick<DagWorldPorts, 'auditor'>): void {
    for (const bundle of this.#bundles.values()) {
      const { hash = 'none' } = auditor.dags.bundles.get(bundle.name) ?? {};
      if (hash !== '' && hash !== bundle.snapshot().hash)
        auditor.broken({ rule: 'K17', what: `the newest snapshot of ${bundle.name} is not in force` });
    }
  }

  #unpause({ auditor, coordinator, events }: DagWorldPorts, minutes = 0): void {
    for (const { dagId, paused } of auditor.dags.dags.values()) {
      const call = { action: 'pause', dagId, paused: false } as const;
      if (paused) void coordinator.call((callId) => ({ kind: 'dag', callId, call }));
    }
    // One that comes into force later may be paused upon its creation.
    if (minutes < 5)
      events.after(MINUTE, () =>
        this.#unpause({ auditor, coordinator, events } as DagWorldPorts, minutes + 1),
      );
  }
}

const NOTHING = { queues: [], labels: {}, handlers: [], bundles: [], triggerKinds: [] };

function processor(bundle: string, i: number): AgentSettings {
  const agentId = `processor-${bundle}-${i}` as AgentId;
  return { ...NOTHING, agentId, kind: 'dag_processor', slots: 0, bundles: [bundle] };
}

/** Makes no run any more by itself. */
function ending(dag: DagDefinition): DagDefinition {
  return { ...dag, schedule: { kind: 'none' } };
}

import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Input } from '../../src/core/inputs.js';
import { isFinal, type PartitionPolicy, type TaskRow } from '../../src/core/rows.js';
import type { TaskId } from '../../src/kit/ids.js';
import { type Agent, agent, successor } from './agent-model.js';
import { checkWorld } from './invariants.js';
import { H, L, World } from './support.js';

const STEPS = [
  'submit',
  'submit',
  'submit',
  'flush',
  'flush',
  'talk',
  'talk',
  'talk',
  'talk',
  'beat',
  'beat',
  'repeat',
  'connect',
  'connect',
  'cut',
  'vanish',
  'deafen',
  'hear',
  'end',
  'end',
  'crash',
  'goodbye',
  'tick',
  'advance',
  'advance',
  'cancel',
  'resolve',
  'cordon',
  'uncordon',
  'failCommit',
  'restart',
  'stall',
  'lie',
  'lose',
  'lose',
  'swallow',
  'shut',
  'sulk',
  'prune',
] as const;
type Step = readonly [(typeof STEPS)[number], number, number];

const POLICIES: readonly PartitionPolicy[] = ['reassign', 'reassign', 'single_run', 'hold'];
const KINDS = ['success', 'success', 'failed', 'killed', 'lost', 'never_started'] as const;
const SPANS = [100, 1_000, H / 2, H, 2 * H, L, L + 1_000] as const;
const PROCESS = { bootId: 'boot', lockDevice: 1n, lockInode: 2n, pid: 1 };

/** Three agents and a coordinator, driven step by step; what is said waits in one batch until it is flushed. */
class Story {
  readonly world: World;
  readonly agents: Agent[];
  readonly pending: Input[] = [];
  readonly taskIds: TaskId[] = [];
  #calls = 1_000;
  #instances = 1;

  constructor(seed: number) {
    const limits = { laneWindow: 1 + (seed % 3) };
    const retention = { ageMs: 60_000, count: seed % 6, agentAgeMs: seed % 2 === 0 ? 1_000 : 60_000 };
    this.world = new World({ limits, retention, prefetch: seed % 4, stormBrake: seed % 5 > 0 }, seed);
    const w = this.world;
    this.agents = [
      agent(w, 'a', { slots: 1, process: PROCESS }),
      agent(w, 'b', { slots: 2, queues: ['default', 'other'], process: PROCESS }),
      agent(w, 'c', { slots: 2, queues: ['other'], labels: { gpu: 'yes' }, process: PROCESS }),
    ];
    for (const a of this.agents) this.pending.push(a.helloInput());
    this.flush();
  }

  flush(): void {
    this.world.feed(...this.pending.splice(0));
    checkWorld(this.world);
    this.#checkSingle();
  }

  /** I7, as far as a model can tell: gates end single runs, and crashes end all runs. */
  #checkSingle(): void {
    const seen = new Set<TaskId>();
    for (const { runs } of this.agents) {
      for (const { taskId, partitionPolicy } of runs.values()) {
        if (partitionPolicy === 'reassign') continue;
        if (seen.has(taskId)) throw new Error(`I7: two executions of ${taskId} (${partitionPolicy})`);
        seen.add(taskId);
      }
    }
  }

  run(steps: readonly Step[]): void {
    for (const [name, i, n] of steps) {
      this.step(name, i, n);
      for (const a of this.agents) a.watchGate();
    }
  }

  step(name: Step[0], i: number, n: number): void {
    const { world, pending } = this;
    const a = this.agents[i % this.agents.length] as Agent;
    const task = this.#task(n);
    switch (name) {
      case 'prune':
        this.pending.push({ kind: 'prune' });
        return;
      case 'submit':
        return this.#submit(i, n);
      case 'flush':
        return this.flush();
      case 'talk':
        this.flush();
        for (const each of this.agents) if (each.canSpeak && !each.deaf) each.talk();
        return;
      case 'beat':
      case 'repeat':
        if (a.canSpeak) pending.push(a.beatInput({}, name === 'repeat'));
        return;
      case 'connect':
        this.#drop(a, true);
        pending.push(a.helloInput());
        return;
      case 'cut':
      case 'vanish':
        return this.#drop(a, name === 'cut');
      case 'deafen':
        a.deaf = true;
        return;
      case 'hear':
        a.hear();
        return;
      case 'end': {
        const token = a.running[n % Math.max(1, a.running.length)];
        const kind = KINDS[n % KINDS.length] ?? 'success';
        if (token !== undefined) a.end(token, kind === 'never_started' ? 'success' : kind);
        return;
      }
      case 'crash':
        return this.#crash(i % this.agents.length, n);
      case 'goodbye':
        if (a.streamId !== null && a.inventory.count === 0 && a.reports.size === 0) {
          a.gateShut = true;
          pending.push({ kind: 'goodbye', streamId: a.streamId, endsSession: true, reason: 'drained' });
        }
        return;
      case 'tick':
        pending.push({ kind: 'tick' });
        return;
      case 'advance':
        world.advance(SPANS[n % SPANS.length] ?? H);
        return;
      case 'stall':
        world.advance(2_000);
        pending.push({ kind: 'stall', ms: 2_000 });
        return;
      case 'cancel':
        if (task)
          pending.push({ kind: 'cancel', callId: ++this.#calls, taskId: task.taskId, reason: 'asked' });
        return;
      case 'resolve':
        if (task?.partitionPolicy !== 'reassign') return;
        pending.push({
          kind: 'resolve',
          callId: ++this.#calls,
          taskId: task.taskId,
          verdict: (['reassign', 'fail', 'succeed'] as const)[n % 3] ?? 'fail',
          reason: '',
        });
        return;
      case 'cordon':
      case 'uncordon':
        pending.push({ kind: name, callId: ++this.#calls, agentId: a.agentId });
        return;
      case 'failCommit':
        world.failCommits = 1;
        return;
      case 'restart':
        this.pending.length = 0;
        for (const each of this.agents) each.vanish();
        world.restart(n * 1_000);
        return;
      case 'lose':
        return this.#lose(a);
      case 'swallow':
        a.unread.length = 0;
        return;
      case 'shut':
        a.gateShut = !a.gateShut;
        return;
      case 'sulk':
        a.asking = !a.asking;
        return;
      case 'lie':
        // An agent that forgets what it runs shows it by its count and hash.
        if (n % 4 === 0 && a.canSpeak && a.running[0] !== undefined) a.forgetRun(a.running[0]);
        return;
    }
  }

  #task(n: number): TaskRow | undefined {
    const taskId = this.taskIds[n % Math.max(1, this.taskIds.length)];
    return taskId === undefined ? undefined : this.world.tasks.get(taskId);
  }

  #submit(i: number, n: number): void {
    const task = this.world.newTask({
      queue: i % 2 === 0 ? 'default' : 'other',
      priority: n % 3,
      concurrencyKey: n % 4 === 0 ? 'k' : '',
      concurrencyLimit: 1 + (n % 8 === 0 ? 1 : 0),
      partitionPolicy: POLICIES[(i + n) % POLICIES.length] ?? 'reassign',
      requiredLabels: i % 4 === 3 ? { gpu: 'yes' } : {},
      retries: n % 2,
      executionTimeoutMs: n % 5 === 0 ? H : null,
      killGraceMs: 1_000,
    });
    this.taskIds.push(task.taskId);
    this.pending.push({ kind: 'submit', callId: ++this.#calls, tasks: [task] });
  }

  /** One agent is cut off for a whole lease, the others live on. */
  #lose(a: Agent): void {
    this.#drop(a, false);
    for (let passed = 0; passed <= L; passed += H / 2) {
      this.world.advance(H / 2);
      for (const each of this.agents) {
        each.watchGate();
        if (each.canSpeak) this.pending.push(each.beatInput());
      }
      this.pending.push({ kind: 'tick' });
      this.flush();
    }
  }

  #drop(a: Agent, told: boolean): void {
    const { streamId } = a;
    if (streamId === null) return;
    a.vanish();
    if (told) this.pending.push({ kind: 'stream_closed', streamId });
  }

  /** The process dies with its runs; its successor has the journal, and most times the proof. */
  #crash(i: number, n: number): void {
    const old = this.agents[i] as Agent;
    this.#drop(old, n % 2 === 0);
    const next = successor(old, `${old.agentId}-instance-${++this.#instances}`);
    old.runs.clear();
    this.agents[i] = next;
    const { bootId, lockDevice, lockInode } = PROCESS;
    const proof = n % 3 === 0 ? null : { instanceId: old.instanceId, bootId, lockDevice, lockInode };
    this.pending.push(next.helloInput({ proof }));
  }

  /** I6: once everything is well again, every task reaches a terminal state. */
  heal(): void {
    const { world } = this;
    for (const a of this.agents) Object.assign(a, { deaf: false, gateShut: false, asking: true });
    // Nobody may wait for what is gone.
    this.pending.push({ kind: 'prune' });
    for (const a of this.agents) this.step('uncordon', this.agents.indexOf(a), 0);
    this.flush();
    for (let round = 0; round < 400 && !this.#done(); round++) {
      for (const a of this.agents) {
        a.hear();
        if (a.streamId === null) a.connect();
        for (const token of a.running) a.end(token);
        if (a.canSpeak) a.beat({}, true).talk();
      }
      // A permit that a crashed process never saw is held for the whole hold_timeout, unless somebody proves its death.
      world.advance(round === 200 ? world.policy.task.holdTimeoutMs : round < 40 ? H / 2 : H);
      world.tick();
      for (const a of this.agents) a.watchGate();
    }
    checkWorld(world);
    const stuck = [...world.tasks.values()].filter((task) => !isFinal(task.state));
    if (stuck.length > 0)
      throw new Error(`I6: stuck for ever: ${stuck.map((t) => `${t.taskId} ${t.state}`).join(', ')}`);
  }

  #done(): boolean {
    return [...this.world.tasks.values()].every((task) => isFinal(task.state));
  }
}

describe('any order of events', () => {
  test('keeps I1, I2, I3, I4, I7 and I10, memory equal to the rows, and ends every task', () => {
    const step = fc.tuple(fc.constantFrom(...STEPS), fc.nat({ max: 3 }), fc.nat({ max: 11 }));
    const property = fc.property(
      fc.array(step, { minLength: 20, maxLength: 120 }),
      fc.nat(1_000),
      (steps, seed) => {
        const story = new Story(seed);
        story.run(steps);
        story.heal();
      },
    );
    // On failure: the smallest story, and `seed` and `path` that replay it as options beside numRuns.
    expect(() => fc.assert(property, { numRuns: 1_000 })).not.toThrow();
  });
});

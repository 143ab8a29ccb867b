import { describe, expect, test } from '@jest/globals';
import type { TaskId, Token } from '../../../src/kit/ids.js';
import { seededRandom } from '../../../src/kit/random.js';
import { add } from '../../../src/kit/sets.js';
import { DagWorld, deferral, type ScriptedTriggerer } from './support.js';

function must(holds: boolean, claim: string): void {
  if (!holds) throw new Error(`this does not hold: ${claim}`);
}

/** What happens to triggers and triggerers in any order, drawn from a seed; what must hold is looked at after each step. */
class Story {
  readonly world: DagWorld;
  readonly #random: () => number;
  readonly #triggerers: ScriptedTriggerer[] = [];
  readonly #cut = new Set<ScriptedTriggerer>();
  readonly #tasks: TaskId[] = [];
  /** Every token that each trigger was ever told under. */
  readonly #tokens = new Map<string, Set<Token>>();
  #joined = 0;

  constructor(world: DagWorld, seed: number) {
    this.world = world;
    this.#random = seededRandom(seed);
  }

  #pick<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.#random() * of.length)];
  }

  get #live(): ScriptedTriggerer[] {
    return this.#triggerers.filter((triggerer) => !this.#cut.has(triggerer));
  }

  readonly #steps: readonly (() => Promise<unknown>)[] = [
    async () => this.#tasks.push(await this.world.submit({ retries: 5 })),
    async () =>
      this.world.finish(Object.fromEntries((await this.world.running()).map((id) => [id, deferral()]))),
    async () => this.world.finish('all'),
    () => this.world.pass(200),
    () => this.world.pass(16_000, 1_000),
    async () => {
      if (this.#triggerers.length < 4)
        this.#triggerers.push(await this.world.triggerer(`t${++this.#joined}`));
    },
    async () => {
      const lost = this.#pick(this.#live);
      lost?.cut();
      if (lost !== undefined) this.#cut.add(lost);
    },
    async () => {
      const back = this.#pick([...this.#cut]);
      back?.connect();
      if (back !== undefined) this.#cut.delete(back);
    },
    async () => {
      const triggerer = this.#pick(this.#live);
      const triggerId = this.#pick([...(triggerer?.triggers.keys() ?? [])]);
      if (triggerer === undefined || triggerId === undefined) return;
      const { token } = triggerer.triggers.get(triggerId) ?? {};
      const failure = this.#random() < 0.2 ? { reason: 'trigger_failed', message: '' } : null;
      await triggerer.fire(triggerId, 'event', token === undefined ? { failure } : { token, failure });
      // Said again, as after an acknowledgement that was lost.
      const again = await triggerer.fire(triggerId, 'event', token === undefined ? {} : { token });
      must(again?.taken === false, 'an event that is said again is refused');
    },
    async () => {
      const [triggerId = '', tokens] = this.#pick([...this.#tokens]) ?? [];
      const token = this.#pick([...(tokens ?? [])]);
      const newest = this.world.engine.state.dags.triggers.get(triggerId)?.token;
      if (token === undefined || token === newest) return;
      // An assignment that is superseded, or over: whoever says it, it changes nothing.
      const answer = await this.#pick(this.#live)?.fire(triggerId, 'late', { token });
      must(answer?.taken !== true, 'a superseded assignment changes nothing');
    },
    async () => {
      const taskId = this.#pick(this.#tasks);
      if (taskId !== undefined && this.#random() < 0.3) await this.world.cancel(taskId);
    },
  ];

  async step(): Promise<void> {
    await this.#pick(this.#steps)?.();
    await this.world.idle();
    await this.#check();
  }

  async #check(): Promise<void> {
    const { triggers } = this.world.engine.state.dags;
    const held = this.#live.flatMap((triggerer) => [...triggerer.triggers.values()]);
    // I8: no trigger is with two triggerers, and each is held under its newest token.
    must(new Set(held.map(({ triggerId }) => triggerId)).size === held.length, 'one trigger, one triggerer');
    for (const { triggerId, token } of held) {
      must(triggers.get(triggerId)?.token === token, 'what is held is held under the newest token');
      add(this.#tokens, triggerId, token);
    }
    const rows = await this.world.store.readTasks(this.#tasks);
    const waiting = rows.filter(({ state }) => state === 'deferred').map(({ taskId }) => taskId);
    const waitedFor = [...triggers.values()].map(({ taskId }) => taskId);
    must(
      String(waitedFor.sort()) === String(waiting.sort()),
      'each deferred task has its trigger, and no other',
    );
  }

  /** Everybody comes back, and everything comes to its end. */
  async end(): Promise<void> {
    for (const triggerer of this.#cut) triggerer.connect();
    this.#cut.clear();
    this.#triggerers.push(await this.world.triggerer('last'));
    for (let n = 0; n < 200; n++) {
      await this.world.pass(16_000, 1_000);
      for (const triggerer of this.#triggerers)
        for (const triggerId of triggerer.triggers.keys()) await triggerer.fire(triggerId, 'event');
      await this.world.finishAll();
      const rows = await this.world.store.readTasks(this.#tasks);
      if (rows.every(({ state }) => ['success', 'failed', 'cancelled'].includes(state))) break;
    }
    for (const taskId of this.#tasks) {
      const { state } = await this.world.task(taskId);
      must(['success', 'failed', 'cancelled'].includes(state), `${taskId} has ended, it is ${state}`);
      const trail = await this.world.events(taskId);
      const count = (name: string) => trail.filter((event) => event === name).length;
      must(count('resumed') <= count('deferred'), 'each event counts once');
    }
    must(this.world.engine.state.dags.triggers.size === 0, 'no trigger is left');
  }
}

describe('whatever happens to triggerers, each event counts once and no trigger is forgotten', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i', async (seed) => {
    const world = await DagWorld.with([]);
    await world.worker(50);
    const story = new Story(world, seed);
    for (let n = 0; n < 150; n++) await story.step();
    await expect(story.end()).resolves.toBeUndefined();
  });
});

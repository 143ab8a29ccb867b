import { after, monoMs } from '../clock.js';
import { failureOf, fairly, type Result, runAll } from '../run.js';
import type { CoordinatorCase } from './case.js';
import { Scene, type SceneOptions } from './scene.js';

export interface CoordinatorRunOptions extends SceneOptions {
  readonly cases: readonly CoordinatorCase[];
  /** Cases played at the same time, each with agents and a queue of its own. */
  readonly parallel: number;
  /** After each case, in the order of their ends. */
  readonly told: (result: Result) => void;
  /** No further case is begun once it is aborted. */
  readonly signal: AbortSignal;
}

/** A case is bounded. Most wait for a lease or two of the coordinator's own choice: 15 s by default. */
const LIMIT_MS = 120_000;

/** Held up for so long, the kit's agents may have been silent themselves. */
const HELD_UP_MS = 200;

/** Looks whether there is a coordinator at all. Throws Deviation when there is none. */
export async function probeCoordinator(options: SceneOptions): Promise<void> {
  const scene = new Scene(options);
  try {
    await scene.answers();
  } finally {
    await scene.close();
  }
}

/** Plays cases against a coordinator; the results in the order of the cases. */
export function runCoordinatorCases(options: CoordinatorRunOptions): Promise<readonly Result[]> {
  return runAll(options.cases, options, (one) =>
    fairly(() => play(one, options), HELD_UP_MS, options.signal),
  );
}

async function play(one: CoordinatorCase, options: SceneOptions): Promise<Result> {
  const began = monoMs();
  const scene = new Scene(options);
  const limitMs = one.limitMs ?? LIMIT_MS;
  const timer = after(limitMs, () => scene.giveUp(limitMs));
  const ended = await one.play(scene).then(
    (seen) => ({ outcome: 'pass', seen }) as const,
    (error: unknown) => failureOf(error),
  );
  timer.cancel();
  await scene.close();
  return { case: one, ...ended, output: '', tookMs: monoMs() - began };
}

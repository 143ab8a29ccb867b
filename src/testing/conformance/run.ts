import { type Case, Deviation, type Kind, type Requirement } from './case.js';
import { after, every, monoMs } from './clock.js';
import { Stage, type StageOptions } from './stage.js';

/** How one case has gone. */
export interface Result {
  readonly case: Requirement;
  /** broken: the kit itself failed, which says nothing about the agent and counts as a failure. */
  readonly outcome: 'pass' | 'fail' | 'broken';
  /** What was seen, or what was seen instead. */
  readonly seen: string;
  readonly tookMs: number;
  /** The end of what the agent printed, when it failed. */
  readonly output: string;
}

export interface RunOptions extends StageOptions {
  readonly cases: readonly Case[];
  /** Cases played at the same time, each with an agent of its own. */
  readonly parallel: number;
  /** After each case, in the order of their ends. */
  readonly told: (result: Result) => void;
  /** No further case is begun once it is aborted. */
  readonly signal: AbortSignal;
}

/** A case is bounded: an agent that hangs fails it. */
const LIMIT_MS = 30_000;
/** Times that a case is played anew because the kit itself was held up while it failed. */
const REPLAYS = 2;

/** Plays cases against an agent; the results in the order of the cases. */
export function runCases(options: RunOptions): Promise<readonly Result[]> {
  return runAll(options.cases, options, (one) => playFairly(one, options));
}

/** Plays so many cases at a time, until all have ended or the run is aborted; the results in the order of the cases. */
export async function runAll<One extends Requirement>(
  cases: readonly One[],
  { parallel, told, signal }: Pick<RunOptions, 'parallel' | 'told' | 'signal'>,
  playOne: (one: One) => Promise<Result>,
): Promise<readonly Result[]> {
  const results = new Map<One, Result>();
  const waiting = [...cases];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (signal.aborted) return;
      const result = await playOne(next);
      results.set(next, result);
      told(result);
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  return cases.flatMap((one) => results.get(one) ?? []);
}

/** A failure while this process was held up for H/2 or more may be the kit's: only an undisturbed one counts. */
const playFairly = (one: Case, options: RunOptions): Promise<Result> =>
  fairly(() => play(one, options), options.heartbeatMs / 2, options.signal);

/** Plays again what fails while this process was held up for longer than `heldUpMs`, a few times. */
export async function fairly(
  playOnce: () => Promise<Result>,
  heldUpMs: number,
  signal: AbortSignal,
): Promise<Result> {
  for (let replay = 0; ; replay++) {
    const pulse = new Pulse();
    const result = await playOnce();
    const disturbed = pulse.stop() > heldUpMs;
    if (result.outcome === 'pass' || !disturbed || replay === REPLAYS || signal.aborted) return result;
  }
}

async function play(one: Case, options: StageOptions): Promise<Result> {
  const began = monoMs();
  const stage = await Stage.open(options);
  const limitMs = one.limitMs ?? LIMIT_MS;
  const timer = after(limitMs, () => stage.giveUp(limitMs));
  const ended = await one.play(stage).then(
    (seen) => ({ outcome: 'pass', seen }) as const,
    (error: unknown) => failureOf(error),
  );
  timer.cancel();
  const output = ended.outcome === 'pass' ? '' : stage.output;
  await stage.close();
  return { case: one, ...ended, output, tookMs: monoMs() - began };
}

/** How a case that threw has ended. */
export function failureOf(error: unknown): Pick<Result, 'outcome' | 'seen'> {
  if (error instanceof Deviation) return { outcome: 'fail', seen: error.message };
  return { outcome: 'broken', seen: String((error as Error).stack ?? error) };
}

/** Measures by how much this process's own timers are late: on a crowded machine the kit is. */
class Pulse {
  #last = monoMs();
  #longestMs = 0;
  readonly #timer = every(PULSE_MS, () => this.#beat());

  #beat(): void {
    const now = monoMs();
    this.#longestMs = Math.max(this.#longestMs, now - this.#last - PULSE_MS);
    this.#last = now;
  }

  stop(): number {
    this.#beat();
    this.#timer.cancel();
    return this.#longestMs;
  }
}

const PULSE_MS = 20;

/** The cases for a kind of agent; `only` picks by rule, by id, or by the first part of an id. */
export function casesFor(cases: readonly Case[], kind: Kind, only: readonly string[]): readonly Case[] {
  return cases.filter(
    (one) => one.kinds.includes(kind) && (only.length === 0 || only.some((what) => isMeant(one, what))),
  );
}

export function isMeant({ id, rule }: Requirement, what: string): boolean {
  const wanted = what.toLowerCase();
  return rule.toLowerCase().split(/[ ,]+/).includes(wanted) || id === wanted || id.startsWith(`${wanted}.`);
}

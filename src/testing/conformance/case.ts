import type { Stage } from './stage.js';

/** What an agent does, as its Hello says. */
export const KINDS = ['worker', 'triggerer', 'dag-processor'] as const;
export type Kind = (typeof KINDS)[number];

/** must: an agent that fails it breaks somebody's work. should: it works, and is slower or ruder than it could be. */
export type Level = 'must' | 'should';

/** One thing that is asked, of an agent or of a coordinator. */
export interface Requirement {
  /** Stable, `topic.name`; what `--only` takes. */
  readonly id: string;
  /** The rule of docs/protocol.md that it comes from: `P3`, or the part of that page. */
  readonly rule: string;
  readonly level: Level;
  /** The requirement, as a sentence. */
  readonly title: string;
  /** Longest time for it, in milliseconds; 30 s unless given. */
  readonly limitMs?: number;
}

/** One thing that is asked of an agent. */
export interface Case extends Requirement {
  readonly kinds: readonly Kind[];
  /** Plays it on a stage of its own, and tells what was seen. Throws Deviation when the agent does otherwise. */
  play(stage: Stage): Promise<string>;
}

/** The agent does not do what it is asked: the message is what was seen instead. */
export class Deviation extends Error {
  override readonly name = 'Deviation';
}

/** Throws Deviation with what was seen unless it is so. */
export function check(isSo: boolean, seen: string): asserts isSo {
  if (!isSo) throw new Deviation(seen);
}

import type { Bounds, Off } from './rules.js';
import type { State } from './state.js';
import { firstState, successorsOf } from './successors.js';

export interface Exploration {
  readonly states: number;
  readonly steps: number;
  /** The first promise broken, by as few steps as any. */
  readonly fault: string | null;
  readonly story: readonly string[];
  /** Not all could be seen within the limit. */
  readonly cutOff: boolean;
}

/** Every order of events, nearest first: the story of a broken promise is one of the shortest. */
export function explore(bounds: Bounds, off: Off, limit = 20_000_000): Exploration {
  const successors = successorsOf(bounds, off);
  const keys: string[] = [];
  const parents: number[] = [];
  const seen = new Set<string>();
  let steps = 0;
  const meet = (state: State, parent: number) => {
    const key = keyOf(state);
    if (seen.has(key)) return;
    seen.add(key);
    keys.push(key);
    parents.push(parent);
  };
  meet(firstState(bounds), -1);
  for (let at = 0; at < keys.length; at++) {
    for (const { name, state, fault } of successors(stateOf(keys[at] as string))) {
      steps++;
      if (fault !== null) {
        const story = [...storyOf(at, keys, parents, successors), `${name}  ← ${fault}`];
        return { states: keys.length, steps, fault, story, cutOff: false };
      }
      meet(state, at);
    }
    if (keys.length > limit) return { states: keys.length, steps, fault: null, story: [], cutOff: true };
  }
  return { states: keys.length, steps, fault: null, story: [], cutOff: false };
}

const keyOf = (state: State): string => Buffer.from(state.buffer).toString('latin1');
const stateOf = (key: string): State => Uint8Array.from(Buffer.from(key, 'latin1'));

/** What happened, from the first state to this one: the names were not kept, so they are found again. */
function storyOf(
  end: number,
  keys: readonly string[],
  parents: readonly number[],
  successors: ReturnType<typeof successorsOf>,
): string[] {
  const story: string[] = [];
  for (let at = end; parents[at] !== -1; at = parents[at] as number) {
    const before = stateOf(keys[parents[at] as number] as string);
    const step = successors(before).find(({ state }) => keyOf(state) === keys[at]);
    story.unshift(step?.name ?? '?');
  }
  return story;
}

import { NAME_PATTERN } from '../../kit/ids.js';
import { TRIGGER_KINDS } from '../../kit/trigger-kinds.js';
import type { Json } from '../handlers/define.js';

/** What a trigger is called with. */
export interface TriggerContext<Input = unknown> {
  /** What the deferral gave, as JSON holds it; look at it before it is used. */
  readonly input: Input;
  /** Aborted when nobody waits any more. At the end of the gate, or when the stream is lost, the whole thread ends instead. */
  readonly signal: AbortSignal;
  /** For how long the task had waited when this call began, in milliseconds: a trigger may be started many times over. */
  readonly waitedMs: number;
}

// A function that returns nothing has the type void, which is no part of Json.
// biome-ignore lint/suspicious/noConfusingVoidType: it stands for the return type of a function only
type Event = Json | void;

/**
 * What waits: an async function whose result is the event, or an async generator whose first value is. What it throws
 * fails the try of its task. It may be started again at any time, elsewhere too, so it must only look and change nothing.
 */
export type TriggerFunction<Input = unknown> = (
  context: TriggerContext<Input>,
) => Promise<Event> | AsyncGenerator<Json, unknown, unknown>;

/** The same in every copy of this package: a triggerer may have loaded another than its triggers. */
const BRAND: unique symbol = Symbol.for('holdfast.triggers.v1') as never;

/** Every kind of triggers of a module: made by `defineTriggers()`. */
export interface Triggers {
  readonly [BRAND]: ReadonlyMap<string, TriggerFunction>;
}

/** A kind of triggers under a name; made by `trigger()`. */
export interface Trigger {
  readonly name: string;
  readonly run: TriggerFunction;
}

/** A kind of triggers whose input is taken to be what `run` says it is; a deferral may give anything else all the same. */
export function trigger<Input = unknown>(definition: {
  readonly name: string;
  readonly run: TriggerFunction<Input>;
}): Trigger {
  return definition as Trigger;
}

/**
 * The kinds of triggers of a module, as its default export. Throws TypeError for a name that is none (1 to 128 of A-Z a-z
 * 0-9 . _ -), that is built in, or that comes twice, and for what is no function.
 */
export function defineTriggers(triggers: readonly Trigger[]): Triggers {
  const all = new Map<string, TriggerFunction>();
  for (const { name, run } of triggers) {
    const refuse = (why: string) => new TypeError(`${JSON.stringify(name)} is no name for a trigger: ${why}`);
    if (!NAME_PATTERN.test(name)) throw refuse('use 1 to 128 of A-Z a-z 0-9 . _ -');
    if (Object.hasOwn(TRIGGER_KINDS, name)) throw refuse('a built-in one has it');
    if (all.has(name)) throw refuse('another one has it');
    if (typeof run !== 'function') throw new TypeError(`trigger ${name} has nothing to run: give a function`);
    all.set(name, run);
  }
  return { [BRAND]: all };
}

/** The triggers behind a value of unknown origin; null when it is not what `defineTriggers` gives. */
export function triggersIn(value: unknown): ReadonlyMap<string, TriggerFunction> | null {
  if (typeof value !== 'object' || value === null) return null;
  return (value as Partial<Triggers>)[BRAND] ?? null;
}

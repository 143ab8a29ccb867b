import type { StandardSchemaV1 } from '@standard-schema/spec';
import { NAME_PATTERN } from '../../kit/ids.js';
import type { HandlerContext } from './context.js';

/** What JSON can hold. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json | undefined };

/** What a handler without an `output` schema may give back: JSON, bytes, or nothing. At most 256 KiB travel. */
export type Returned = Json | Uint8Array | undefined;

type Maybe<T> = T | Promise<T>;
// A function that returns nothing has the type void, which is no part of Returned.
// biome-ignore lint/suspicious/noConfusingVoidType: it stands for the return type of a function only
type Nothing = void;

/** A handler that is a plain function: what it is called with must be looked at before it is used. */
export type PlainHandler<Result extends Returned | Nothing = Returned | Nothing> = (
  input: unknown,
  context: HandlerContext,
) => Maybe<Result>;

declare const types: unique symbol;
/** The same in every copy of this package: a worker may have loaded another than its handlers. */
const BRAND: unique symbol = Symbol.for('holdfast.handlers.v1') as never;

/** A handler with its schemas: made by `handler()`. `Input` is what submitters give, `Output` what they get. */
export interface Handler<Input = unknown, Output = unknown> {
  /** What checks the input; undefined takes any. */
  readonly input: StandardSchemaV1 | undefined;
  /** What checks the result; undefined takes any. */
  readonly output: StandardSchemaV1 | undefined;
  /** The function itself. */
  readonly run: (input: never, context: HandlerContext) => unknown;
  /** For the compiler only. */
  readonly [types]?: { readonly input: Input; readonly output: Output };
}

type In<Schema extends StandardSchemaV1> = StandardSchemaV1.InferInput<Schema>;
type Out<Schema extends StandardSchemaV1> = StandardSchemaV1.InferOutput<Schema>;

/**
 * A handler whose input, and whose output if it has a schema, are checked: any Standard Schema validator does (zod,
 * valibot, arktype, …). `run` gets what the input schema makes of the input, and must give what the output schema takes.
 * An input that is refused fails the task at once, whatever its retries; an output that is refused fails the try.
 */
export function handler<I extends StandardSchemaV1, O extends StandardSchemaV1>(definition: {
  readonly input: I;
  readonly output: O;
  readonly run: (input: Out<I>, context: HandlerContext) => Maybe<In<O>>;
}): Handler<In<I>, Out<O>>;
export function handler<I extends StandardSchemaV1, R extends Returned | Nothing>(definition: {
  readonly input: I;
  readonly output?: undefined;
  readonly run: (input: Out<I>, context: HandlerContext) => Maybe<R>;
}): Handler<In<I>, R>;
export function handler<O extends StandardSchemaV1>(definition: {
  readonly input?: undefined;
  readonly output: O;
  readonly run: (input: unknown, context: HandlerContext) => Maybe<In<O>>;
}): Handler<unknown, Out<O>>;
export function handler({ input, output, run }: Pick<Handler, 'run'> & Partial<Handler>): Handler {
  return { input, output, run };
}

/** Every handler of a worker, by name: made by `defineHandlers()`. */
export interface Handlers<All extends HandlerMap = HandlerMap> {
  readonly [BRAND]: ReadonlyMap<string, Handler>;
  /** For the compiler only. */
  readonly [types]?: All;
}

/** Functions, or handlers with schemas, by the names that tasks call them by. */
export type HandlerMap = { readonly [name: string]: Handler | PlainHandler };

/** What submitters give to the handler of that name. */
export type InputOf<H extends Handlers, Name extends keyof MapOf<H>> =
  MapOf<H>[Name] extends Handler<infer Input> ? Input : unknown;

/** What the handler of that name gives back. */
export type OutputOf<H extends Handlers, Name extends keyof MapOf<H>> =
  MapOf<H>[Name] extends Handler<infer _, infer Output>
    ? Output
    : MapOf<H>[Name] extends (...args: never) => infer Result
      ? Awaited<Result>
      : never;

type MapOf<H extends Handlers> = H extends Handlers<infer All> ? All : never;

/**
 * The handlers of a worker, by the names that tasks call them by; the default export of a handlers module. Throws
 * TypeError for a name that is none (1 to 128 of A-Z a-z 0-9 . _ -) and for what is no handler.
 */
export function defineHandlers<const All extends HandlerMap>(handlers: All): Handlers<All> {
  const all = new Map<string, Handler>();
  for (const [name, of] of Object.entries<Handler | PlainHandler>(handlers)) {
    if (!NAME_PATTERN.test(name)) {
      throw new TypeError(
        `${JSON.stringify(name)} is no name for a handler: use 1 to 128 of A-Z a-z 0-9 . _ -`,
      );
    }
    const whole: Handler =
      typeof of === 'function' ? { input: undefined, output: undefined, run: of as Handler['run'] } : of;
    if (typeof whole?.run !== 'function') {
      throw new TypeError(`handler ${name} has nothing to run: give a function, or make it with handler()`);
    }
    all.set(name, whole);
  }
  return { [BRAND]: all };
}

/** The handlers behind a value of unknown origin; null when it is not what `defineHandlers` gives. */
export function handlersIn(value: unknown): ReadonlyMap<string, Handler> | null {
  if (typeof value !== 'object' || value === null) return null;
  return (value as Partial<Handlers>)[BRAND] ?? null;
}

import type { Json } from './define.js';

/** What the triggers that every triggerer has are given; those of your own take whatever JSON holds. */
export interface TriggerInputs {
  /** At an instant: RFC 3339, such as `2026-01-02T03:04:05Z`. */
  readonly date_time: { readonly at: string };
  /** After a while, counted from the deferral: a duration such as `1h30m`. */
  readonly delta: { readonly for: string };
  /** Once a file exists at a path of the triggerer's machine, which may hold `*`, `**` and `?`. */
  readonly file: { readonly path: string; readonly poll_interval?: string };
  /** Once a URL answers as wanted. */
  readonly http: {
    readonly url: string;
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly status?: number | readonly number[];
    readonly condition?: { readonly path: string; readonly equals?: Json };
    readonly poll_interval?: string;
  };
  /** At the next event of an asset. */
  readonly asset: { readonly asset: string };
  /** When somebody fires it, by API or command line. */
  readonly external: { readonly name?: string };
}

/** What a task waits for. */
export interface DeferOptions<Kind extends string = string> {
  /** The kind of the trigger, built in or your own, and what it is given. */
  readonly trigger: {
    readonly kind: Kind;
    readonly input: Kind extends keyof TriggerInputs ? TriggerInputs[Kind] : Json;
  };
  /** Seen again as `resumed.state`; at most 64 KiB of JSON. Default nothing. */
  readonly state?: Json;
  /** A duration such as `1h30m`, or milliseconds: when the event has not come by then, the try fails. Default for ever. */
  readonly timeout?: string | number;
}

/** What a task has waited for. */
export interface Resumed {
  /** What the trigger gave. */
  readonly event: Json;
  /** What `defer` was given; undefined for nothing. */
  readonly state: Json | undefined;
}

/** Thrown by `context.defer`: not an error, and so without a stack. */
export class Defer {
  readonly to: DeferOptions;

  constructor(to: unknown) {
    this.to = to as DeferOptions;
  }
}

/** Thrown by `context.skip`. */
export class Skip {
  readonly message: string;

  constructor(reason: string) {
    this.message = reason;
  }
}

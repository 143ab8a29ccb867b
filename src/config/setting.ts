import type { Kind, Parsed } from './kinds.js';

/** One thing that a deployment may choose. */
export interface Setting<T> {
  /** Its flag without dashes. Several settings may share one flag: each command has the one that it needs. */
  readonly flag: string;
  readonly short?: string;
  readonly kind: Kind<T>;
  /** Null when it depends on the machine (paths, host name), or when there is none. */
  readonly fallback: T | null;
  /** In words: what holds when nothing is given and `fallback` is null. */
  readonly otherwise?: string;
  readonly doc: string;
  /** Other programs' variables that mean the same, asked after our own. */
  readonly foreign?: readonly { readonly variable: string; readonly parse: (given: string) => Parsed<T> }[];
  /** Its value must not be shown, and may be read from the file named by the variable with `_FILE`. */
  readonly secret?: true;
}

export const setting = <T>(of: Setting<T>): Setting<T> => of;

import { NAME_PATTERN, type Token } from '../kit/ids.js';

/** What is wrong with a message: which field, because of what. The stream ends with it. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
  /** Whether the field is fine in itself but not supported here. */
  readonly unsupported: boolean;
  constructor(message: string, unsupported = false) {
    super(message);
    this.unsupported = unsupported;
  }
}

/** An id, a queue or another name. Throws Malformed when it has another form. */
export function nameOf(field: string, name: string): string {
  if (!NAME_PATTERN.test(name)) {
    throw new Malformed(
      `${field} ${JSON.stringify(name.slice(0, 140))} is not a name: 1 to 128 of A-Z a-z 0-9 . _ -, starting with a letter or digit`,
    );
  }
  return name;
}

export function tokenOf(field: string, token: bigint): Token {
  if (token < 1n) throw new Malformed(`${field} is 0: a fencing token is greater than 0`);
  return counterOf(field, token) as Token;
}

/** Counters stay below 2^63, so that every store can hold them. */
const COUNTER_END = 1n << 63n;

export function counterOf(field: string, value: bigint): bigint {
  if (value >= COUNTER_END) throw new Malformed(`${field} is ${value}: it must be below 2^63`);
  return value;
}

export function textOf(text: string, limit: number): string {
  return text.length > limit ? text.slice(0, limit) : text;
}

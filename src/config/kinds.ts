import { formatDuration, parseDuration } from '../kit/duration.js';
import { NAME_PATTERN } from '../kit/ids.js';
import { didYouMean } from '../kit/suggest.js';

/** A value, or why the text is none. */
export type Parsed<T> = { readonly value: T } | { readonly because: string };

/** One way to write a setting: on the command line, in the environment, in a file. */
export interface Kind<T> {
  /** What stands for it in help texts. */
  readonly placeholder: string;
  /** Whether its flag may be given several times. */
  readonly repeats: boolean;
  parse(text: string): Parsed<T>;
  /** For `config show`, in a form that `parse` reads back. */
  show(value: T): string;
}

/** Any text that is not empty. */
export const text = (placeholder: string): Kind<string> => ({
  placeholder,
  repeats: false,
  parse: (given) => (given === '' ? { because: 'it is empty' } : { value: given }),
  show: (value) => value,
});

/** HOST:PORT. */
export const address: Kind<string> = {
  placeholder: 'HOST:PORT',
  repeats: false,
  parse: (given) => {
    const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(given)?.[1] ?? Number.NaN);
    return port >= 1 && port <= 65_535
      ? { value: given }
      : { because: 'it must be HOST:PORT, such as 127.0.0.1:7400' };
  },
  show: (value) => value,
};

/** The form of agent ids and queues. */
export const name = (placeholder: string): Kind<string> => ({
  placeholder,
  repeats: false,
  parse: (given) => (NAME_PATTERN.test(given) ? { value: given } : { because: NAME_RULE }),
  show: (value) => value,
});

const NAME_RULE = 'it must be 1 to 128 characters of A-Z a-z 0-9 . _ - and start with a letter or digit';

/** A whole number from `low` to `high`. */
export const integer = (placeholder: string, low: number, high: number): Kind<number> => ({
  placeholder,
  repeats: false,
  parse: (given) => {
    const value = /^-?\d+$/.test(given.trim()) ? Number(given) : Number.NaN;
    return value >= low && value <= high
      ? { value }
      : { because: `it must be a whole number from ${low} to ${high}` };
  },
  show: (value) => String(value),
});

/** `15s`, in milliseconds. */
export const duration: Kind<number> = {
  placeholder: 'DURATION',
  repeats: false,
  parse: (given) => {
    const value = parseDuration(given);
    return value === undefined
      ? { because: 'it must be a duration with its unit, such as 500ms, 15s, 10m or 24h' }
      : { value };
  },
  show: formatDuration,
};

const YES = ['true', 'yes', 'on', '1'];
const NO = ['false', 'no', 'off', '0'];

/** true or false. */
export const boolean: Kind<boolean> = {
  placeholder: 'true|false',
  repeats: false,
  parse: (given) => {
    const word = given.toLowerCase();
    if (YES.includes(word)) return { value: true };
    return NO.includes(word) ? { value: false } : { because: 'it must be true or false' };
  },
  show: String,
};

/** One of a few words. */
export const choice = <T extends string>(...words: readonly T[]): Kind<T> => ({
  placeholder: words.join('|'),
  repeats: false,
  parse: (given) => {
    const value = words.find((word) => word === given);
    return value === undefined
      ? { because: `it must be one of ${words.join(', ')}${didYouMean(given, words)}` }
      : { value };
  },
  show: (value) => value,
});

/** Names separated by commas, or a flag given several times. */
export const names = (placeholder: string): Kind<readonly string[]> => ({
  placeholder,
  repeats: true,
  parse: (given) => {
    const list = [...new Set(given.split(',').map((part) => part.trim()))].filter((part) => part !== '');
    const bad = list.find((part) => !NAME_PATTERN.test(part));
    if (bad !== undefined) return { because: `${JSON.stringify(bad)} is no name: ${NAME_RULE}` };
    return { value: list };
  },
  show: (value) => value.join(','),
});

/** `name=value`, separated by commas, or a flag given several times. */
export const labels: Kind<Readonly<Record<string, string>>> = {
  placeholder: 'NAME=VALUE',
  repeats: true,
  parse: (given) => {
    const pairs: [string, string][] = [];
    for (const part of given.split(',').filter((piece) => piece.trim() !== '')) {
      const at = part.indexOf('=');
      if (at < 1) return { because: `${JSON.stringify(part)} is not NAME=VALUE` };
      pairs.push([part.slice(0, at).trim(), part.slice(at + 1).trim()]);
    }
    return pairs.length > 32
      ? { because: 'there may be at most 32 labels' }
      : { value: Object.fromEntries(pairs) };
  },
  show: (value) =>
    Object.entries(value)
      .map(([key, of]) => `${key}=${of}`)
      .join(','),
};

/** http or https URLs separated by commas, or a flag given several times. */
export const urls: Kind<readonly string[]> = {
  placeholder: 'URL',
  repeats: true,
  parse: (given) => {
    // A URL may have commas of its own: a list goes on only where the next one begins.
    const list = given.split(/,(?=\s*https?:)/).map((part) => part.trim());
    const bad = list.find((part) => !URL.canParse(part) || !/^https?:/.test(part));
    return bad === undefined ? { value: list } : { because: 'each must be an http or https URL' };
  },
  show: (value) => value.join(','),
};

/** One endpoint of the list `server.webhooks`. */
export interface WebhookEntry {
  readonly url: string;
  readonly secretFile: string;
  readonly events?: readonly string[];
}

const isEntry = (value: unknown): value is WebhookEntry => {
  const { url, secretFile, events, ...rest } = value as Partial<WebhookEntry>;
  const named = Array.isArray(events) && events.every((event) => typeof event === 'string');
  const known = Object.keys(rest).length === 0 && (events === undefined || named);
  return known && typeof url === 'string' && typeof secretFile === 'string';
};

/** A list of `{ url, secretFile, events? }`, as JSON outside the configuration file. */
export const webhooks: Kind<readonly WebhookEntry[]> = {
  placeholder: 'JSON',
  repeats: false,
  parse: (given) => {
    const because = 'it must be a list of {url, secretFile, events?}';
    try {
      const list: unknown = JSON.parse(given);
      const good =
        Array.isArray(list) && list.every((each) => typeof each === 'object' && each && isEntry(each));
      return good ? { value: list as readonly WebhookEntry[] } : { because };
    } catch {
      return { because };
    }
  },
  show: (value) => (value.length === 0 ? '' : JSON.stringify(value)),
};

import { parseDuration } from './duration.js';
import { parseInstant } from './instant.js';
import { TRIGGER_KINDS, type TriggerFieldForm } from './trigger-kinds.js';

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isStatus = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 100 && Number(value) <= 599;
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What a field of each form must be. Who reads a DAG file and who waits judge by the same. */
export const TRIGGER_FORMS: Readonly<
  Record<TriggerFieldForm, { readonly rule: string; readonly fits: (value: unknown) => boolean }>
> = {
  text: { rule: 'it must be a text', fits: isText },
  instant: {
    rule: 'it must be an instant with its zone, such as 2026-01-31T08:00:00Z',
    fits: (value) => isText(value) && parseInstant(value) !== undefined,
  },
  duration: {
    rule: 'it must be a duration with its unit, such as 15s',
    fits: (value) => isText(value) && (parseDuration(value) ?? 0) > 0,
  },
  statuses: {
    rule: 'it must be an HTTP status, or a list of them',
    fits: (value) => isStatus(value) || (Array.isArray(value) && value.length > 0 && value.every(isStatus)),
  },
  texts: {
    rule: 'it must be an object of texts',
    fits: (value) => isRecord(value) && Object.values(value).every((one) => typeof one === 'string'),
  },
  condition: {
    rule: 'it must be an object with path, and equals where wanted',
    fits: (value) =>
      isRecord(value) &&
      isText(value.path) &&
      Object.keys(value).every((name) => ['path', 'equals'].includes(name)),
  },
};

/** What is wrong with the input of a built-in trigger, as one sentence; null when nothing is. */
export function faultOfTriggerInput(kind: string, input: unknown): string | null {
  const fields = Object.hasOwn(TRIGGER_KINDS, kind) ? TRIGGER_KINDS[kind] : undefined;
  if (fields === undefined) return null;
  const names = Object.keys(fields);
  if (!isRecord(input)) return `the input of ${kind} must be an object with ${names.join(', ')}`;
  for (const name of Object.keys(input))
    if (!Object.hasOwn(fields, name)) return `${kind} knows no ${name}: it takes ${names.join(', ')}`;
  for (const [name, { form, required }] of Object.entries(fields)) {
    const { rule, fits } = TRIGGER_FORMS[form];
    if (!Object.hasOwn(input, name) ? required : !fits(input[name])) return `${name} of ${kind}: ${rule}`;
  }
  return null;
}

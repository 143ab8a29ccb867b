import { parseDuration } from '../../kit/duration.js';
import { parseInstant } from '../../kit/instant.js';
import { TRIGGER_KINDS, type TriggerFieldForm } from '../../kit/trigger-kinds.js';
import { type DagFault, faultAt, faultOfName, type Path, shown } from '../fault.js';
import type { FileTask } from '../format/define.js';
import type { Hints } from '../hints.js';

/** Inputs of built-in triggers. What a triggerer's own kinds take only that triggerer knows. */
export function faultsOfWaits(tasks: readonly FileTask[], hints: Hints): DagFault[] {
  return tasks.flatMap(({ path, fields: { wait } }) => {
    if (wait === undefined) return [];
    return faultsOfInput([...path, 'wait'], wait.kind, wait.input ?? {}, hints);
  });
}

function faultsOfInput(path: Path, kind: string, input: unknown, hints: Hints): DagFault[] {
  const fields = Object.hasOwn(TRIGGER_KINDS, kind) ? TRIGGER_KINDS[kind] : undefined;
  if (fields === undefined) return [];
  const at = [...path, 'input'];
  const names = Object.keys(fields);
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return [faultAt(at, `the input of ${kind} must be an object with ${names.join(', ')}`)];
  }
  const faults: DagFault[] = [];
  for (const [name, value] of Object.entries(input)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (field === undefined) {
      const known = `the trigger ${kind} takes ${names.join(', ')}`;
      faults.push(
        faultOfName([...at, name], `unknown field ${shown(name)}${hints.of(name, names)}: ${known}`),
      );
      continue;
    }
    const { rule, fits } = FORMS[field.form];
    if (!isTemplate(value) && !fits(value)) {
      faults.push(
        faultAt([...at, name], `${name} of the trigger ${kind} cannot be ${shown(value)}: ${rule}`),
      );
    }
  }
  for (const [name, { required, form }] of Object.entries(fields)) {
    if (!required || Object.hasOwn(input, name)) continue;
    faults.push(faultAt(at, `the trigger ${kind} wants ${name}: ${FORMS[form].rule}`));
  }
  return faults;
}

/** Judged when it is filled in. */
const isTemplate = (value: unknown): boolean => typeof value === 'string' && value.includes('{{');

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isStatus = (value: unknown): boolean =>
  Number.isInteger(value) && Number(value) >= 100 && Number(value) <= 599;
const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const FORMS: Readonly<
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

import { TRIGGER_FORMS } from '../../kit/trigger-forms.js';
import { TRIGGER_KINDS } from '../../kit/trigger-kinds.js';
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
    const { rule, fits } = TRIGGER_FORMS[field.form];
    if (!isTemplate(value) && !fits(value)) {
      faults.push(
        faultAt([...at, name], `${name} of the trigger ${kind} cannot be ${shown(value)}: ${rule}`),
      );
    }
  }
  for (const [name, { required, form }] of Object.entries(fields)) {
    if (!required || Object.hasOwn(input, name)) continue;
    faults.push(faultAt(at, `the trigger ${kind} wants ${name}: ${TRIGGER_FORMS[form].rule}`));
  }
  return faults;
}

/** Judged when it is filled in. */
const isTemplate = (value: unknown): boolean => typeof value === 'string' && value.includes('{{');

import type { z } from 'zod';
import { type DagFault, FAULTS_SOUGHT, faultAt, faultOfName, type Path, pathText, shown } from '../fault.js';
import type { Hints } from '../hints.js';
import { COMMON_FIELDS, dagFile, PARAM_FIELDS, TASK_FIELDS } from './schema.js';

type Issue = z.core.$ZodIssue;

/** What zod found, as faults for people: each with its place, its rule, and the name that was probably meant. */
export function faultsOf(issues: readonly Issue[], value: unknown, hints: Hints): DagFault[] {
  const faults: DagFault[] = [];
  for (const issue of issues) {
    if (faults.length > FAULTS_SOUGHT) break;
    for (const fault of describe(issue, [], value, hints)) faults.push(fault);
  }
  return faults;
}

function describe(issue: Issue, base: Path, value: unknown, hints: Hints): DagFault[] {
  const path = [...base, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, FAULTS_SOUGHT).map((key) => unknownField(path, key, hints));
  }
  if (issue.code === 'invalid_key') {
    const because = issue.issues[0]?.message ?? issue.message;
    return [faultOfName(path, `${shown(path.at(-1))} is no name: ${because}`)];
  }
  const meant = issue.code === 'invalid_union' ? branchMeant(issue.errors) : undefined;
  if (meant === undefined) {
    const written = valueAt(value, path);
    const hint =
      issue.code === 'invalid_value' && typeof written === 'string'
        ? hints.of(written, issue.values.map(String))
        : '';
    return [misfit(path, `${issue.message}${hint}`, value)];
  }
  return meant.flatMap((one) => describe(one, path, value, hints));
}

/**
 * The one form of several that was meant: its faults lie within the value, and not in what kind of value it is. None
 * when several could be.
 */
function branchMeant(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const fitting = branches.filter((issues) => !issues.some(isOfKind)).sort((a, b) => a.length - b.length);
  const [best, second] = fitting;
  return best === undefined || best.length === second?.length ? undefined : best;
}

const isOfKind = ({ path, code }: Issue): boolean =>
  path.length === 0 && (code === 'invalid_type' || code === 'invalid_union' || code === 'invalid_value');

function misfit(path: Path, because: string, root: unknown): DagFault {
  const value = valueAt(root, path);
  if (path.length === 0) return faultAt(path, `this is no DAG: ${because}`);
  if (value === undefined) return faultAt(path, `${pathText(path)} is missing: ${because}`);
  // Variables are where secrets go, and messages end in logs.
  const what = path.includes('env') ? 'this' : shown(value);
  return faultAt(path, `${pathText(path)} cannot be ${what}: ${because}`);
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

function unknownField(path: Path, key: string, hints: Hints): DagFault {
  const known = FIELDS.find(({ at }) => at.test(pathText(path)))?.fields ?? [];
  return faultOfName([...path, key], `unknown field ${shown(key)}${hints.of(key, known)}`);
}

/** Which fields there are, by the path of their object. The first that matches. */
const FIELDS: readonly { readonly at: RegExp; readonly fields: readonly string[] }[] = [
  { at: /retry_backoff$/, fields: ['initial', 'max'] },
  { at: /^tasks[.[][^.]+\.wait$/, fields: ['kind', 'input', 'timeout'] },
  { at: /^default_args$/, fields: COMMON_FIELDS },
  { at: /^tasks\[\d+\]$/, fields: ['task_id', ...TASK_FIELDS] },
  { at: /^tasks\./, fields: TASK_FIELDS },
  { at: /^params\./, fields: PARAM_FIELDS },
  { at: /^schedule$/, fields: ['cron', 'timezone', 'every', 'assets'] },
  { at: /^schedule/, fields: ['all', 'any'] },
  { at: /^$/, fields: Object.keys(dagFile.shape) },
];

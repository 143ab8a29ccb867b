import type { DagDefinition } from '../../core/dag/definition.js';
import { pathText } from '../fault.js';
import { checkDag } from './index.js';

/** What a check says to whoever has no file to point into. */
export type Verdict =
  | { readonly ok: true; readonly definition: DagDefinition }
  | { readonly ok: false; readonly errors: readonly string[] };

/** As checkDag, its faults as lines. */
export function verdictOn(dag: unknown): Verdict {
  const checked = checkDag(dag);
  if (checked.ok) return checked;
  return {
    ok: false,
    errors: checked.faults.map(({ path, message }) => `${pathText(path) || 'DAG'}: ${message}`),
  };
}

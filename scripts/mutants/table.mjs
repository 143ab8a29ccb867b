// All mutants, and what their edits make of the sources.
import { MUTANTS as dags } from './dags.mjs';
import { MUTANTS as failure } from './failure.mjs';
import { MUTANTS as loadBearing } from './load-bearing.mjs';
import { MUTANTS as start } from './start.mjs';

export const LOAD_BEARING = loadBearing;
export const MUTANTS = [...loadBearing, ...start, ...failure, ...dags];

export function editsOf({ file, find, replace, model, also = [] }) {
  if (model !== undefined) return [];
  return [{ file, find, replace }, ...also.map((edit) => ({ file, ...edit }))];
}

/** The sources that a mutant changes, and what is wrong with its edits: the text of each is to be there exactly once. */
export function changed(mutant, read) {
  const sources = new Map();
  const stale = [];
  for (const { file, find, replace } of editsOf(mutant)) {
    const source = sources.get(file) ?? read(file);
    const found = source.split(find).length - 1;
    if (found !== 1) stale.push(`${mutant.name}: its text is found ${found} times in ${file}`);
    sources.set(file, source.split(find).join(replace));
  }
  return { sources, stale };
}

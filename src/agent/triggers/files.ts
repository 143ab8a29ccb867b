import { readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';

/** Paths that an event names at most. */
const MOST_PATHS = 100;
/** Folders that one look goes through at most: a pattern over a whole disk must not hold up all other triggers. */
const MOST_FOLDERS = 10_000;

/**
 * The files at a path, in the order of their names, some at most. `*` and `?` stand for what is within one name, `**` for
 * any folders or none; names that begin with a dot are meant only by a pattern that does, as in a shell.
 */
export async function filesAt(path: string): Promise<string[]> {
  if (!/[*?]/.test(path)) return (await exists(path)) ? [path] : [];
  const steps = path.split(sep).filter((step, i) => step !== '' || i === 0);
  const [first = ''] = steps;
  const isAbsolute = first === '';
  const found: string[] = [];
  await walk(isAbsolute ? sep : '', isAbsolute ? steps.slice(1) : steps, found, { folders: 0 });
  return found.sort();
}

async function walk(
  folder: string,
  [step, ...rest]: readonly string[],
  found: string[],
  seen: { folders: number },
): Promise<void> {
  if (step === undefined || found.length >= MOST_PATHS) return;
  if (step !== '**' && !/[*?]/.test(step)) {
    const next = join(folder, step);
    if (!(await exists(next))) return;
    if (rest.length === 0) found.push(next);
    else await walk(next, rest, found, seen);
    return;
  }
  if (++seen.folders > MOST_FOLDERS) return;
  if (step === '**') await walk(folder, rest.length === 0 ? ['*'] : rest, found, seen);
  const fits = step === '**' ? /^[^.]/ : patternOf(step);
  for (const entry of await entriesOf(folder)) {
    if (found.length >= MOST_PATHS) return;
    if (!fits.test(entry.name)) continue;
    const next = join(folder, entry.name);
    if (step === '**') {
      if (entry.isDirectory()) await walk(next, ['**', ...rest], found, seen);
    } else if (rest.length === 0) {
      if (!found.includes(next)) found.push(next);
    } else if (entry.isDirectory() || entry.isSymbolicLink()) await walk(next, rest, found, seen);
  }
}

function patternOf(step: string): RegExp {
  const text = step
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${step.startsWith('.') ? '' : '(?!\\.)'}${text}$`, 's');
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** A folder that is not there, or may not be read, holds nothing now; it may later. */
async function entriesOf(folder: string) {
  try {
    const entries = await readdir(folder === '' ? '.' : folder, { withFileTypes: true });
    return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch {
    return [];
  }
}

import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { languageOf } from '../read.js';
import { IGNORE_FILE, IGNORES_NOTHING, type Ignores, ignoresOf } from './ignore.js';

/** A file of a bundle as it looks from outside. */
export interface ListedFile {
  /** Within the bundle, with forward slashes. */
  readonly file: string;
  readonly path: string;
  /** When and how large: as long as it stays the same, the file counts as unchanged. */
  readonly stamp: string;
  readonly isDag: boolean;
}

const BUNDLE_LIMITS = {
  /** DAG files of a bundle. */
  files: 10_000,
  /** Files and folders of a bundle, DAGs or not. */
  entries: 100_000,
  /** Folders within folders. */
  depth: 32,
} as const;

/** Folders that hold no DAGs of anybody's own. */
const LEFT_OUT = new Set(['node_modules', '__pycache__']);
export const isLeftOut = (name: string): boolean =>
  (name.startsWith('.') && name !== IGNORE_FILE) || LEFT_OUT.has(name);

/**
 * Every file of a bundle, in the order of their paths. Throws when the folder cannot be read, or holds too much: a
 * listing that is not complete must not make DAGs disappear.
 */
export async function listBundle(root: string): Promise<readonly ListedFile[]> {
  const found: ListedFile[] = [];
  const ignores = await readIgnores(root);
  let entries = 0;
  const walk = async (folder: string, within: string, depth: number): Promise<void> => {
    if (depth > BUNDLE_LIMITS.depth)
      throw new Error(`${folder} lies more than ${BUNDLE_LIMITS.depth} folders deep`);
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (isLeftOut(entry.name)) continue;
      if (++entries > BUNDLE_LIMITS.entries)
        throw new Error(`${root} has more than ${BUNDLE_LIMITS.entries} files`);
      const [path, file] = [join(folder, entry.name), within === '' ? entry.name : `${within}/${entry.name}`];
      if (ignores(file, entry.isDirectory())) continue;
      // Links to folders are not followed: they may lead in circles.
      if (entry.isDirectory()) await walk(path, file, depth + 1);
      else if (mayBeFile(entry)) found.push(...(await look(path, file)));
    }
  };
  await walk(root, '', 0);
  const dags = found.filter(({ isDag }) => isDag).length;
  if (dags > BUNDLE_LIMITS.files)
    throw new Error(`${root} has ${dags} DAG files, and at most ${BUNDLE_LIMITS.files} are read`);
  return found.sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** Without a file of that name nothing is ignored; one that cannot be read makes the listing none. */
async function readIgnores(root: string): Promise<Ignores> {
  try {
    return ignoresOf(await readFile(join(root, IGNORE_FILE), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return IGNORES_NOTHING;
    throw error;
  }
}

const mayBeFile = (entry: Dirent): boolean => entry.isFile() || entry.isSymbolicLink();

async function look(path: string, file: string): Promise<readonly ListedFile[]> {
  try {
    const found = await stat(path);
    // A pipe or a device would be read for ever.
    if (!found.isFile()) return [];
    const stamp = `${found.mtimeMs} ${found.size} ${found.ino}`;
    return [{ file, path, stamp, isDag: languageOf(file) !== null }];
  } catch {
    // Gone between the listing and the look, or a link that leads nowhere.
    return [];
  }
}

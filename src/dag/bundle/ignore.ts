/** The file of a bundle's folder that says what of it is not read. */
export const IGNORE_FILE = '.holdfastignore';

const LIMITS = {
  /** Lines, comments included. */
  lines: 1_000,
  /** Characters of one. */
  length: 512,
  /** Times `**` in one: each multiplies what a match may cost. */
  anyFolders: 4,
} as const;

interface Pattern {
  readonly matches: RegExp;
  readonly foldersOnly: boolean;
  /** Whether what matches is read after all. */
  readonly keeps: boolean;
}

/** Whether a file or folder of a bundle, by its path within it, is left out. What lies in a folder that is goes with it. */
export type Ignores = (path: string, isFolder: boolean) => boolean;

export const IGNORES_NOTHING: Ignores = () => false;

/**
 * The lines of an ignore file as a rule; the last that matches decides. The part of gitignore's form that people use: `*`, `?`,
 * `**`, a slash at the end for folders, one elsewhere for a path from the bundle's folder, `!` for what is kept, `#` for comments.
 * Throws when it is too long: half of it would put files in force that nobody wants.
 */
export function ignoresOf(text: string): Ignores {
  const lines = text.split(/\r?\n/);
  if (lines.length > LIMITS.lines)
    throw new Error(`${IGNORE_FILE} has ${lines.length} lines, and at most ${LIMITS.lines} are read`);
  const patterns: Pattern[] = [];
  for (const [n, line] of lines.entries()) {
    const written = line.trim();
    if (written === '' || written.startsWith('#')) continue;
    if (written.length > LIMITS.length)
      throw new Error(`${IGNORE_FILE}:${n + 1}: a line has at most ${LIMITS.length} characters`);
    if (written.split('**').length > LIMITS.anyFolders + 1)
      throw new Error(`${IGNORE_FILE}:${n + 1}: a line has ** at most ${LIMITS.anyFolders} times`);
    patterns.push(patternOf(written));
  }
  return (path, isFolder) => {
    let ignored = false;
    for (const { matches, foldersOnly, keeps } of patterns)
      if ((isFolder || !foldersOnly) && ignored === keeps && matches.test(path)) ignored = !keeps;
    return ignored;
  };
}

function patternOf(written: string): Pattern {
  const keeps = written.startsWith('!');
  const glob = keeps ? written.slice(1) : written;
  const foldersOnly = glob.endsWith('/');
  const bare = glob.replace(/\/+$/, '');
  // A path from the bundle's folder; a mere name is one at any depth.
  const anchored = bare.includes('/') ? bare.replace(/^\//, '') : `**/${bare}`;
  return { matches: expressionOf(anchored), foldersOnly, keeps };
}

function expressionOf(glob: string): RegExp {
  const parts = glob.split('/').map((part) => (part === '**' ? '**' : segmentOf(part)));
  let source = '';
  for (const [n, part] of parts.entries()) {
    const isLast = n === parts.length - 1;
    if (part !== '**') source += isLast ? part : `${part}/`;
    else source += isLast ? '.+' : '(?:.+/)?';
  }
  return new RegExp(`^${source}$`);
}

/** Stars that follow each other say no more than one, and would take long to match. */
function segmentOf(part: string): string {
  return part
    .replace(/\*+/g, '*')
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]');
}

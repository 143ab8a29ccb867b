// A copy of the built program in which the comments `// failpoint: FP5 before` are calls. The program that is shipped has
// the comments only: nothing in it can be told to fail.
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from '../tool.mjs';
import { POINTS, SIDES } from './points.mjs';

const runtimeFile = fileURLToPath(import.meta.resolve('./runtime.mjs'));
const COMMENT = /^[ \t]*\/\/ failpoint: (FP\d+) (before|after)$/gm;

/** The names of all points of a text, as `FP5 before`, in its order. */
export const pointsOf = (text) => [...text.matchAll(COMMENT)].map(([, name, side]) => `${name} ${side}`);

/** Copies `dist` to a new folder; `program` is the copy's command, `remove()` takes it away again. */
export function instrument(dist = resolve(root, 'dist')) {
  const folder = mkdtempSync(join(tmpdir(), 'hf-failpoints-'));
  const copy = join(folder, 'dist');
  const found = [];
  for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.js')) continue;
    const target = join(copy, file);
    mkdirSync(dirname(target), { recursive: true });
    const text = readFileSync(join(dist, file), 'utf8');
    const here = pointsOf(text);
    if (here.length === 0) copyFileSync(join(dist, file), target);
    else writeFileSync(target, instrumented(text, file));
    found.push(...here);
  }
  checkAll(found);
  copyFileSync(runtimeFile, join(copy, 'failpoint.js'));
  copyFileSync(resolve(root, 'package.json'), join(folder, 'package.json'));
  symlinkSync(resolve(root, 'node_modules'), join(folder, 'node_modules'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  return { program: join(copy, 'main/bin.js'), folder, remove };
}

/** Each comment becomes a call in the same line; the import goes into the first line, so that all lines keep their numbers. */
function instrumented(text, file) {
  const runtime = relative(dirname(file), 'failpoint.js');
  const from = runtime.startsWith('.') ? runtime : `./${runtime}`;
  const calls = text.replaceAll(COMMENT, (_, name, side) => callOf(name, side, file));
  return `import { failpoint, ownAgentId } from '${from}'; ${calls}`;
}

function callOf(name, side, file) {
  const point = POINTS.find((each) => each.name === name);
  if (point === undefined) throw new Error(`${file} has a failpoint ${name}, which is in no table`);
  if (point.file !== file)
    throw new Error(`the failpoint ${name} is in ${file}; the table expects ${point.file}`);
  const { items, agentId = 'ownAgentId()', settleMs = 0 } = point;
  const lose = (side === 'before' ? point.lose : point.loseAfter) ?? 'items.length = 0';
  const parts = `items: () => ${items}, agentId: (items) => ${agentId}, lose: (items) => { ${lose.replaceAll(/\n\s*/g, ' ')}; }`;
  return `failpoint('${name}', '${side}', ${side === 'after' ? settleMs : 0}, { ${parts} });`;
}

function checkAll(found) {
  const wanted = POINTS.flatMap(({ name }) => SIDES.map((side) => `${name} ${side}`));
  for (const point of wanted) {
    const times = found.filter((each) => each === point).length;
    if (times !== 1)
      throw new Error(`the built program has the comment "failpoint: ${point}" ${times} times, not once`);
  }
}

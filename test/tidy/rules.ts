import { type Finding, isNode, lineAt, type Node, type Source, visit } from './source.js';

/** What comes in from outside: time read, time waited for, and chance (ids drawn at random included). */
type Outside = 'time' | 'timers' | 'chance';

/** Where the outside may come in, and why there. Everywhere else it is handed in as a value or a function. */
const readers: readonly { path: string; may: readonly Outside[]; why: string }[] = [
  { path: 'src/engine/clock.ts', may: ['time', 'timers', 'chance'], why: "the coordinator's one real clock" },
  { path: 'src/engine/timers.ts', may: ['time', 'timers', 'chance'], why: 'turns deadlines into inputs' },
  { path: 'src/agent/clock.ts', may: ['time', 'timers', 'chance'], why: "an agent's one real clock" },
  { path: 'src/main/', may: ['time', 'timers', 'chance'], why: 'composition hands out clocks and chance' },
  { path: 'src/server/ids.ts', may: ['chance'], why: 'task ids that cannot be guessed' },
  {
    path: 'src/dag/clock.ts',
    may: ['time', 'timers'],
    why: 'time limits of reading DAG files, and when to look again',
  },
  { path: 'src/client/clock.ts', may: ['time', 'timers', 'chance'], why: 'deadlines and jitter of calls' },
  {
    path: 'src/testing/conformance/clock.ts',
    may: ['time', 'timers'],
    why: 'agents are judged from outside, by real time',
  },
  { path: 'src/cli/', may: ['timers'], why: 'redraws and time limits of commands, for people only' },
];

function mayRead(path: string, kind: Outside): boolean {
  return readers.some(
    (r) => (path === r.path || (r.path.endsWith('/') && path.startsWith(r.path))) && r.may.includes(kind),
  );
}

const globals: Readonly<Record<string, Outside>> = {
  setTimeout: 'timers',
  setInterval: 'timers',
  setImmediate: 'timers',
  randomUUID: 'chance',
  randomBytes: 'chance',
  randomInt: 'chance',
  getRandomValues: 'chance',
};

const members: Readonly<Record<string, Outside>> = {
  'Date.now': 'time',
  'performance.now': 'time',
  'performance.timeOrigin': 'time',
  'process.hrtime': 'time',
  'process.uptime': 'time',
  'AbortSignal.timeout': 'timers',
  'Math.random': 'chance',
  'crypto.randomUUID': 'chance',
  'crypto.randomBytes': 'chance',
  'crypto.randomInt': 'chance',
  'crypto.getRandomValues': 'chance',
};

const modules: Readonly<Record<string, Outside>> = {
  'node:timers': 'timers',
  'node:timers/promises': 'timers',
  'node:perf_hooks': 'time',
};

const nameOf = (node: unknown): string =>
  isNode(node) && node.type === 'Identifier' && typeof node.name === 'string' ? node.name : '';

/** `Date.now`, also behind `globalThis.`; '' for anything that is not two plain names. */
function memberOf(node: Node): string {
  if (node.type !== 'MemberExpression' || node.computed === true) return '';
  const object = node.object;
  const owner =
    isNode(object) && object.type === 'MemberExpression' ? nameOf(object.property) : nameOf(object);
  return `${owner}.${nameOf(node.property)}`;
}

/** `new Date()` and `Date()` read the clock, `new Date(ms)` only converts. */
const readsDate = (node: Node): boolean =>
  nameOf(node.callee) === 'Date' &&
  (node.type === 'CallExpression' ||
    (node.type === 'NewExpression' && (node.arguments as unknown[]).length === 0));

function outsideOf(node: Node): readonly [Outside, string] | undefined {
  if (readsDate(node)) return ['time', 'Date'];
  const [table, name] =
    node.type === 'ImportDeclaration'
      ? [modules, String((node.source as Node).value)]
      : node.type === 'Identifier'
        ? [globals, nameOf(node)]
        : node.type === 'MemberExpression'
          ? [{ ...members, ...behindGlobalThis }, memberOf(node)]
          : [{}, ''];
  const kind = Object.hasOwn(table, name) ? (table as Record<string, Outside>)[name] : undefined;
  return kind === undefined ? undefined : [kind, name];
}

const behindGlobalThis: Readonly<Record<string, Outside>> = Object.fromEntries(
  Object.entries(globals).map(([name, kind]) => [`globalThis.${name}`, kind]),
);

/** Reads of time, waits and chance in a file that has no leave for them. */
export function findOutside(source: Source): readonly Finding[] {
  return find(source, (node) => {
    const [kind, name] = outsideOf(node) ?? [];
    return kind !== undefined && !mayRead(source.path, kind)
      ? `${name} (${kind}) must come in from outside`
      : undefined;
  });
}

const reachOut = new Set([
  'process',
  'Buffer',
  'console',
  'fetch',
  'queueMicrotask',
  'globalThis',
  'performance',
  'crypto',
]);

/** What a pure room may not touch; 'sync' rooms may not wait either. */
export function findImpure(source: Source, pure: 'may wait' | 'sync'): readonly Finding[] {
  return find(source, (node) => {
    const name = nameOf(node);
    if (reachOut.has(name)) return `${name} in a room that touches nothing`;
    if (pure === 'sync' && (node.async === true || node.type === 'AwaitExpression' || name === 'Promise')) {
      return 'a promise in a room that decides at once';
    }
    return undefined;
  });
}

/** `any`, written out. (Linters see it too, but a linter can be told to look away.) */
export function findAny(source: Source): readonly Finding[] {
  return find(source, (node) => (node.type === 'TSAnyKeyword' ? 'any' : undefined));
}

const suites = new Set(['describe', 'it', 'test']);
const aside = new Set(['only', 'skip', 'todo', 'failing']);
const shorthands = new Set(['fdescribe', 'fit', 'ftest', 'xdescribe', 'xit', 'xtest']);

/** Tests that run alone or not at all. */
export function findSetAside(source: Source): readonly Finding[] {
  return find(source, (node) => {
    if (shorthands.has(nameOf(node))) return nameOf(node);
    const [owner = '', name = ''] = memberOf(node).split('.');
    return suites.has(owner) && aside.has(name) ? `${owner}.${name}` : undefined;
  });
}

function find(source: Source, judge: (node: Node) => string | undefined): readonly Finding[] {
  const found: Finding[] = [];
  visit(source.program, (node) => {
    const what = judge(node);
    if (what !== undefined) found.push({ line: lineAt(source.text, node.start), what });
  });
  return found;
}

// In pieces, so that these rules are not their own first finding.
const leftovers = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
const silencers = new RegExp(`@ts-${'(ignore|nocheck|expect-error)'}`);
const places = /(^|[^A-Za-z0-9_.])\/(work|farm)\//;

const findInText = (text: string, pattern: RegExp): readonly Finding[] =>
  text.split('\n').flatMap((line, i) => {
    const match = pattern.exec(line);
    return match === null ? [] : [{ line: i + 1, what: match[0].trim() }];
  });

/** Marks of work not done. */
export const findLeftovers = (text: string): readonly Finding[] => findInText(text, leftovers);
/** Comments that tell the compiler to look away. */
export const findSilencers = (text: string): readonly Finding[] => findInText(text, silencers);
/** Paths of the machine it was written on. */
export const findPlaces = (text: string): readonly Finding[] => findInText(text, places);

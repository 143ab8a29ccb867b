import type { Json } from '../../core/dag/definition.js';
import { textsWithin } from '../../core/dag/fill.js';
import { ancestry, graphOf } from '../../core/dag/graph.js';
import { ROOTS } from '../../core/dag/scope.js';
import { isSingleExpression, parseTemplate, pathsOf } from '../../core/dag/template.js';
import { type DagFault, FAULTS_SOUGHT, faultAt, type Path } from '../fault.js';
import { type FileTask, needsOf, paramOf } from '../format/define.js';
import type { DagFile } from '../format/schema.js';
import type { Hints } from '../hints.js';

/** What a template of a file may name besides what every one may. */
interface Place {
  readonly path: Path;
  readonly text: string;
  readonly form: 'text' | 'condition' | 'list' | 'shell';
  readonly mayName: readonly string[];
}

interface World {
  readonly file: DagFile;
  readonly tasks: ReadonlySet<string>;
  readonly isUpstream: (task: string, of: string) => boolean;
  readonly hints: Hints;
}

/** Templates that cannot be read, or that name what the task can never know. */
export function faultsOfTemplates(file: DagFile, order: readonly FileTask[], hints: Hints): DagFault[] {
  const graph = graphOf(order.map(({ taskId, fields }) => ({ taskId, needs: needsOf(fields) })));
  let isUpstream: World['isUpstream'] | undefined;
  const world: World = {
    file,
    hints,
    tasks: new Set(order.map(({ taskId }) => taskId)),
    // Needs are asked for first: a DAG whose templates name nothing else costs no ancestry.
    isUpstream: (task, of) => {
      if (graph.needs.get(of)?.includes(task) === true) return true;
      isUpstream ??= ancestry(
        graph,
        order.map(({ taskId }) => taskId),
      );
      return isUpstream(task, of);
    },
  };
  const faults: DagFault[] = [];
  for (const task of order) {
    if (faults.length > FAULTS_SOUGHT) break;
    for (const place of placesOf(task)) {
      for (const fault of faultsOfPlace(place, task, world)) faults.push(fault);
    }
  }
  return faults;
}

function placesOf({ path, own, fields }: FileTask): Place[] {
  const mapped = fields.expand === undefined ? [] : ['item', 'map_index'];
  const work = [...mapped, ...(fields.wait === undefined ? [] : ['event'])];
  const places: Place[] = [];
  const add = (at: Path, text: string | undefined, form: Place['form'], mayName: readonly string[]): void => {
    if (text !== undefined && text !== '') places.push({ path: at, text, form, mayName });
  };
  const addWithin = (at: Path, value: Json, mayName: readonly string[]): void => {
    for (const found of textsWithin(value)) add([...at, ...found.path], found.text, 'text', mayName);
  };
  add([...path, 'when'], fields.when?.trim(), 'condition', []);
  add([...path, 'expand'], fields.expand?.trim(), 'list', []);
  if (typeof fields.command === 'string') add([...path, 'command'], fields.command, 'shell', work);
  else addWithin([...path, 'command'], fields.command ?? [], work);
  // A variable may come from the default arguments: there it is written, and found.
  addWithin(
    own.env === undefined ? ['default_args', 'env'] : [...path, 'env'],
    fields.command === undefined ? {} : (fields.env ?? {}),
    work,
  );
  add([...path, 'working_directory'], fields.working_directory, 'text', work);
  addWithin([...path, 'input'], (fields.input ?? null) as Json, work);
  addWithin([...path, 'wait', 'input'], (fields.wait?.input ?? null) as Json, mapped);
  return places;
}

function faultsOfPlace(place: Place, task: FileTask, world: World): DagFault[] {
  const parsed = parseTemplate(place.text);
  const fail = (message: string, offset: number | null = null): DagFault =>
    faultAt(place.path, message, offset);
  if (!parsed.ok) {
    const { what, because, try: suggestion, at } = parsed.fault;
    return [fail(`${what}: ${because}; ${suggestion}`, at)];
  }
  const field = place.path.at(-1);
  if ((place.form === 'condition' || place.form === 'list') && !isSingleExpression(parsed.template)) {
    return [
      fail(
        `${field} must be one expression and nothing else, such as {{ params.${field === 'when' ? 'full' : 'months'} }}`,
      ),
    ];
  }
  return pathsOf(parsed.template).flatMap(({ at, source, head: { root, steps } }) => {
    const because =
      faultOfRoot(root, place, world) ??
      faultOfParamPath(root, steps, place, world) ??
      faultOfResult(root, steps, task, world);
    return because === null ? [] : [fail(`{{ ${source} }} cannot be filled in: ${because}`, at)];
  });
}

const WHERE = {
  mapped: 'only the work and the wait of a task with expand know it',
  'after the wait': 'only the work of a task with wait knows it',
} as const;

function faultOfRoot(root: string, { form, mayName }: Place, { hints }: World): string | null {
  const rule = Object.hasOwn(ROOTS, root) ? ROOTS[root] : undefined;
  if (rule === undefined) {
    return `there is no ${root}${hints.of(root, Object.keys(ROOTS))}; there are ${Object.keys(ROOTS).join(', ')}`;
  }
  if (rule.where !== 'everywhere' && !mayName.includes(root))
    return `${root} is unknown here: ${WHERE[rule.where]}`;
  if (form === 'shell' && !rule.isPlain) {
    return (
      'a shell would run whatever it holds; hand it over as a variable of env and write "$NAME", ' +
      'or write the command as a list'
    );
  }
  return null;
}

type Steps = readonly (string | number)[];

function faultOfParamPath(
  root: string,
  steps: Steps,
  { form }: Place,
  { file, hints }: World,
): string | null {
  if (root !== 'params') return null;
  const [name] = steps;
  const params = file.params ?? {};
  if (typeof name !== 'string') return 'name one of the params, as in params.city';
  const param = Object.hasOwn(params, name) ? params[name] : undefined;
  if (param === undefined) return `there is no param ${name}${hints.of(name, Object.keys(params))}`;
  const { type } = paramOf(param);
  if (form === 'list' && steps.length === 1 && type !== 'array')
    return `expand takes a list, and param ${name} is of type ${type}`;
  return null;
}

function faultOfResult(root: string, steps: Steps, { taskId }: FileTask, world: World): string | null {
  if (root !== 'results') return null;
  const [name] = steps;
  if (typeof name !== 'string') return 'name one of the tasks upstream, as in results.ingest';
  if (!world.tasks.has(name)) return `there is no task ${name}${world.hints.of(name, world.tasks)}`;
  if (name === taskId) return 'a task cannot know its own result';
  return world.isUpstream(name, taskId)
    ? null
    : `task ${name} does not come before ${taskId}; add it to the needs`;
}

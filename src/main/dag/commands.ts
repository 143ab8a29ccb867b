import { basename } from 'node:path';
import type { Command } from 'commander';
import {
  addCommonFlags,
  type CliContext,
  coloursFor,
  commonFlags,
  EXIT,
  present,
  renderTable,
} from '../../cli/index.js';
import { drawDag, scheduleText } from '../../dag/draw.js';
import type { FileReport } from './files.js';

// What reads DAG files is loaded by the commands that do: it is half of the program, and every other one starts without.
const reading = () => import('./files.js');

/** `dag validate`, `dag graph`, `dag test`: what needs no coordinator. */
export function addDagFiles(program: Command, context: CliContext): void {
  const noun =
    program.commands.find((command) => command.name() === 'dag') ??
    program.command('dag').description('see and run DAGs').helpCommand(false);
  addValidate(noun, context);
  addGraph(noun, context);
  addTest(noun, context);
}

function addValidate(noun: Command, context: CliContext): void {
  const command = noun
    .command('validate')
    .description('check DAG files, and those in folders; every fault with its line')
    .argument('<PATH...>', 'files, or folders of them')
    .option('--watch', 'check again whenever one changes, until interrupted');
  addCommonFlags(command, { connects: false }).action(async (paths: string[]) => {
    const { findFiles, readFiles } = await reading();
    const { watch: goesOn } = command.opts<{ watch?: boolean }>();
    let said = '';
    const once = async (): Promise<boolean> => {
      const before = said;
      said = '';
      const reports = await readFiles(await findFiles(paths));
      said = JSON.stringify(reports);
      // Anything in a folder may be imported by a module, so everything is looked at; what it comes to is said once.
      if (said !== before) await show(context, command, reports);
      return reports.every(({ errors }) => errors.length === 0);
    };
    if (goesOn === true) await onChanges(context, paths, once);
    else if (!(await once())) process.exitCode = EXIT.usage;
  });
}

async function show(context: CliContext, command: Command, reports: readonly FileReport[]): Promise<void> {
  const { terminal } = context;
  const { output } = await context.settings(commonFlags(command));
  const colours = coloursFor(terminal.out, terminal.env);
  await present(terminal.out, output, {
    data: reports.map(({ file, dags, errors, warnings }) => ({
      file,
      valid: errors.length === 0,
      dagIds: dags.map((d) => d.dagId),
      errors,
      warnings,
    })),
    names: reports.flatMap(({ dags }) => dags.map(({ dagId }) => dagId)),
    table: () => {
      const rows = reports.flatMap(({ file, dags }) =>
        dags.map((dag) => [dag.dagId, String(dag.tasks.length), scheduleText(dag.schedule), file]),
      );
      const faults = reports.flatMap(({ errors, warnings }) => [...errors, ...warnings]);
      const table =
        rows.length === 0
          ? ''
          : renderTable(['DAG', 'TASKS', 'SCHEDULE', 'FILE'], rows, colours, terminal.out.columns);
      return `${table}${faults.map((line) => `${line}\n`).join('')}`;
    },
  });
}

/** Changes within so many milliseconds are one. */
const SETTLE_MS = 200;

/** Once all is watched, so that no change falls in between, and then at each change until interrupted. */
async function onChanges(
  { terminal }: CliContext,
  paths: readonly string[],
  once: () => Promise<boolean>,
): Promise<void> {
  const [{ watch }, { isLeftOut }] = await Promise.all([
    import('chokidar'),
    import('../../dag/bundle/list.js'),
  ]);
  const watcher = watch([...paths], {
    ignoreInitial: true,
    ignored: (path) => !paths.includes(path) && isLeftOut(basename(path)),
  });
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let last = Promise.resolve();
    let missing = '';
    const check = (): void => {
      timer = undefined;
      last = last.then(async () => {
        const before = missing;
        missing = '';
        // A file that is gone for now is no reason to stop watching.
        await once().catch((error: Error) => {
          missing = error.message;
          if (missing !== before) terminal.err.print(`${missing}\n`);
        });
      });
    };
    watcher.on('ready', () => {
      terminal.err.print('watching; Ctrl-C ends it\n');
      check();
    });
    watcher.on('all', () => {
      timer ??= setTimeout(check, SETTLE_MS);
    });
    watcher.on('error', reject);
    terminal.interrupt.addEventListener('abort', () => {
      clearTimeout(timer);
      void watcher.close().then(resolve, reject);
    });
  });
}

function addGraph(noun: Command, context: CliContext): void {
  const command = noun
    .command('graph')
    .description('draw the tasks of a DAG')
    .argument('<FILE>')
    .argument('[DAG_ID]', 'of a file with several DAGs');
  addCommonFlags(command, { connects: false }).action(async (file: string, dagId?: string) => {
    const { readDag } = await reading();
    const definition = await readDag(file, dagId);
    const { output } = await context.settings(commonFlags(command));
    await present(context.terminal.out, output, {
      data: {
        dagId: definition.dagId,
        schedule: scheduleText(definition.schedule),
        tasks: definition.tasks.map(({ taskId, needs, triggerRule }) => ({ taskId, needs, triggerRule })),
      },
      names: definition.tasks.map(({ taskId }) => taskId),
      table: () => drawDag(definition),
    });
  });
}

const collect = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

function addTest(noun: Command, context: CliContext): void {
  const command = noun
    .command('test')
    .description(
      'run a DAG here, without a coordinator: its rules are the real ones, its waits are passed over',
    )
    .argument('<FILE>')
    .argument('[DAG_ID]', 'of a file with several DAGs')
    .option('--param <NAME=VALUE>', 'a param of the run: JSON, or a text; again for each', collect)
    .option('--logical-date <DATE>', 'instant that the run stands for; default the last one of its schedule')
    .option('--handlers <MODULE>', 'module with the handlers that it calls');
  addCommonFlags(command, { connects: false }).action(async (file: string, dagId?: string) => {
    const { readDag } = await reading();
    const definition = await readDag(file, dagId);
    const { output } = await context.settings(commonFlags(command));
    const { testDag } = await import('./test-run.js');
    const flags = command.opts<{ param?: string[]; logicalDate?: string; handlers?: string }>();
    process.exitCode = await testDag(context.terminal, output, definition, flags);
  });
}

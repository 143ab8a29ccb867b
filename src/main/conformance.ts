import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addCommonFlags, type CliContext, commonFlags, EXIT, Failure, present } from '../cli/index.js';
import { parseDuration } from '../kit/duration.js';
import { SECOND } from '../kit/time.js';
import * as kit from '../testing/conformance/index.js';

interface Flags {
  readonly kind?: kit.Kind;
  readonly only: readonly string[];
  readonly list?: boolean;
  readonly heartbeat: number;
  readonly patience: number;
  readonly startTimeout: number;
  readonly parallel: number;
  readonly json?: string;
  readonly junit?: string;
}

/** `conformance`: plays a coordinator that misbehaves on purpose against any agent. */
export function addConformance(program: Command, context: CliContext): void {
  const command = program
    .command('conformance')
    .description('test any agent against the protocol, with a coordinator that misbehaves on purpose')
    .argument('[COMMAND...]', 'program and arguments that start the agent, after --')
    .usage('[options] -- COMMAND [ARG ...]')
    .addOption(
      new Option('--kind <KIND>', 'kind of the agent (default: what its Hello says)').choices(kit.KINDS),
    )
    .option(
      '--only <WHAT>',
      'a rule (P13), a case, or the first part of its name; several with commas',
      list,
      [],
    )
    .option('--list', 'only print the cases')
    .option('--heartbeat <DURATION>', 'heartbeat interval that the agent is given', duration, SECOND / 2)
    .option('--patience <DURATION>', 'longest wait for something that must come', duration, 10 * SECOND)
    .option(
      '--start-timeout <DURATION>',
      'longest time from the start of the agent to its Hello',
      duration,
      30 * SECOND,
    )
    .option('--parallel <N>', 'cases at the same time, each with an agent of its own', count, 4)
    .option('--json <FILE>', 'write the results as JSON as well')
    .option('--junit <FILE>', 'write the results as JUnit XML as well');
  addCommonFlags(command, { connects: false });
  command.addHelpText('after', EPILOGUE).action(async (argv: string[]) => {
    const flags = command.opts<Flags>();
    refuseUnknown(flags.only);
    if (flags.list === true) return printList(context, command, flags);
    if (argv.length === 0) {
      throw misused(
        'there is no agent to test',
        'nothing stands behind --',
        'holdfast conformance -- COMMAND [ARG ...]',
      );
    }
    await test(context, command, flags, argv);
  });
}

const EPILOGUE = `
The agent is told in its environment, and wherever its command names one of them in braces, as in {coordinator}:
  HOLDFAST_COORDINATOR  HOST:PORT to dial; also {address}      HOLDFAST_STATE_DIR    what it keeps over its death goes here
  HOLDFAST_AGENT_ID     its agent_id                           HOLDFAST_KIND         worker, triggerer or dag-processor
  HOLDFAST_QUEUE        the queue of a worker                  HOLDFAST_SLOTS        its slots
  HOLDFAST_BUNDLE       folder that a DAG processor reads      HOLDFAST_BUNDLE_NAME  the name of that bundle
Exit codes: 0 every must passed, 3 a must failed, 2 the agent did not dial or the command line is wrong`;

async function test(
  context: CliContext,
  command: Command,
  flags: Flags,
  argv: readonly string[],
): Promise<void> {
  const { terminal } = context;
  const { output } = await context.settings(commonFlags(command));
  const stage = {
    command: argv,
    cwd: process.cwd(),
    env: terminal.env,
    heartbeatMs: flags.heartbeat,
    patienceMs: flags.patience,
  };
  const probed = await kit.probe(stage, flags.startTimeout).catch((error: Error) => {
    throw misused(
      'the agent did not say Hello',
      error.message,
      `it has to dial HOLDFAST_COORDINATOR: ${HELP}`,
    );
  });
  const kind = flags.kind ?? probed.kind;
  const cases = kit.casesFor(kit.CASES, kind, flags.only);
  let ended = 0;
  const results = await kit.runCases({
    ...stage,
    ...{ kind, cases, parallel: flags.parallel, signal: terminal.interrupt },
    told: (result) => {
      ended++;
      if (terminal.err.isTTY)
        terminal.err.print(`${ended}/${cases.length} ${result.outcome} ${result.case.id}\n`);
    },
  });
  const data = kit.jsonOf(kind, results);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(data, null, 2)}\n`);
  if (flags.junit !== undefined) writeFileSync(flags.junit, kit.junitOf(kind, results));
  await present(terminal.out, output, {
    data,
    names: results.filter(({ outcome }) => outcome !== 'pass').map((result) => result.case.id),
    table: () => kit.tableOf(results) + kit.failuresOf(results) + kit.summaryOf(results),
  });
  if (terminal.interrupt.aborted) process.exitCode = EXIT.interrupted;
  else if (!kit.conforms(results)) process.exitCode = EXIT.taskFailed;
}

async function printList(context: CliContext, command: Command, { kind, only }: Flags): Promise<void> {
  const { output } = await context.settings(commonFlags(command));
  const kinds = kind === undefined ? kit.KINDS : [kind];
  const cases = kit.CASES.filter((one) => kinds.some((each) => kit.casesFor([one], each, only).length > 0));
  await present(context.terminal.out, output, {
    data: cases.map(({ id, rule, level, kinds: of, title }) => ({ id, rule, level, kinds: of, title })),
    names: cases.map(({ id }) => id),
    table: () => kit.listOf(cases),
  });
}

const HELP = 'holdfast conformance --help names the variables';

const misused = (what: string, because: string, suggestion: string): Failure =>
  new Failure(EXIT.usage, 'USAGE', [{ what, because, try: suggestion }]);

function refuseUnknown(only: readonly string[]): void {
  const unknown = only.find((what) => !kit.CASES.some((one) => kit.isMeant(one, what)));
  if (unknown === undefined) return;
  throw misused(
    `--only cannot be ${unknown}`,
    'no case has that rule or name',
    'holdfast conformance --list names them',
  );
}

function list(text: string, before: readonly string[]): readonly string[] {
  return [...before, ...text.split(',').map((part) => part.trim())];
}

function duration(text: string): number {
  const value = parseDuration(text);
  if (value !== undefined && value > 0) return value;
  throw new InvalidArgumentError('It must be a duration with its unit, such as 500ms or 15s.');
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 64) return value;
  throw new InvalidArgumentError('It must be a whole number from 1 to 64.');
}

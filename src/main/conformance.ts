import { writeFileSync } from 'node:fs';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { addCommonFlags, type CliContext, commonFlags, EXIT, Failure, present } from '../cli/index.js';
import { formatDuration, parseDuration } from '../kit/duration.js';
import { SECOND } from '../kit/time.js';
import * as kit from '../testing/conformance/index.js';
import { tlsFaultOf } from '../wire/tls/faults.js';

interface Flags {
  readonly kind?: kit.Kind;
  readonly coordinator?: string;
  readonly only: readonly string[];
  readonly list?: boolean;
  readonly heartbeat: number;
  readonly patience: number;
  readonly startTimeout: number;
  readonly parallel: number;
  readonly json?: string;
  readonly junit?: string;
}

/** `conformance`: plays a coordinator that misbehaves on purpose against any agent, or such agents against a coordinator. */
export function addConformance(program: Command, context: CliContext): void {
  const command = program
    .command('conformance')
    .description(
      'test any agent against the protocol, with a coordinator that misbehaves on purpose, or the reverse',
    )
    .argument('[COMMAND...]', 'program and arguments that start the agent, after --')
    .usage('[options] -- COMMAND [ARG ...] | [options] --coordinator HOST:PORT')
    .option('--coordinator <HOST:PORT>', 'test this coordinator instead, with agents that misbehave')
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
    .addOption(time('--heartbeat', 'heartbeat interval that the agent is given', SECOND / 2))
    .addOption(time('--patience', 'longest wait for something that must come', 10 * SECOND))
    .addOption(time('--start-timeout', 'longest time from the start of the agent to its Hello', 30 * SECOND))
    .option('--parallel <N>', 'cases at the same time, each with an agent of its own', count, 4)
    .option('--json <FILE>', 'write the results as JSON as well')
    .option('--junit <FILE>', 'write the results as JUnit XML as well');
  addCommonFlags(command, { connects: false, tls: true });
  command.addHelpText('after', EPILOGUE).action(async (argv: string[]) => {
    const flags = command.opts<Flags>();
    refuseUnknown(flags.only, flags.coordinator === undefined ? kit.CASES : kit.COORDINATOR_CASES);
    if (flags.list === true) return printList(context, command, flags);
    if (flags.coordinator !== undefined) {
      if (argv.length === 0) return testCoordinator(context, command, flags, flags.coordinator);
      const because = 'one of the two is tested at a time';
      throw misused('there is a coordinator and an agent to test', because, 'leave one of them out');
    }
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
Exit codes: 0 every must passed, 3 a must failed, 2 the agent did not dial, no coordinator answers, or the command line is wrong`;

async function test(
  context: CliContext,
  command: Command,
  flags: Flags,
  argv: readonly string[],
): Promise<void> {
  const { terminal } = context;
  const { output } = await context.settings(commonFlags(command));
  // Ends the agents as well; what is asked to end by its system has no time for the cases that are being played.
  process.once('SIGTERM', () => process.exit(EXIT.interrupted));
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
  const results = await kit.runCases({
    ...stage,
    ...{ kind, cases, parallel: flags.parallel, signal: terminal.interrupt },
    told: progress(context, cases.length),
  });
  await judge(context, output, flags, { kind, judged: 'agent', results });
}

async function testCoordinator(
  context: CliContext,
  command: Command,
  flags: Flags,
  address: string,
): Promise<void> {
  const settings = await context.settings(commonFlags(command));
  const where = { address, tls: await settings.tls(), patienceMs: flags.patience };
  await kit.probeCoordinator(where).catch((error: Error) => {
    const suggestion =
      tlsFaultOf(error.message, where.tls !== null)?.try ?? 'give the HOST:PORT of its gRPC server';
    throw misused('no coordinator answers', error.message, suggestion);
  });
  const cases = wantedOf(kit.COORDINATOR_CASES, flags.only);
  const results = await kit.runCoordinatorCases({
    ...{ ...where, cases, parallel: flags.parallel },
    ...{ signal: context.terminal.interrupt, told: progress(context, cases.length) },
  });
  await judge(context, settings.output, flags, { kind: 'coordinator', judged: 'coordinator', results });
}

/** Says after each case how far it has come, where somebody looks on. */
function progress({ terminal }: CliContext, total: number): (result: kit.Result) => void {
  let ended = 0;
  return ({ outcome, case: { id } }) => {
    ended++;
    if (terminal.err.isTTY) terminal.err.print(`${ended}/${total} ${outcome} ${id}\n`);
  };
}

/** The results in every form that was asked for, and the exit code. */
async function judge(
  { terminal }: CliContext,
  output: Parameters<typeof present>[1],
  flags: Flags,
  { kind, judged, results }: { kind: string; judged: string; results: readonly kit.Result[] },
): Promise<void> {
  const data = kit.jsonOf(kind, results);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(data, null, 2)}\n`);
  if (flags.junit !== undefined) writeFileSync(flags.junit, kit.junitOf(kind, results));
  await present(terminal.out, output, {
    data,
    names: results.filter(({ outcome }) => outcome !== 'pass').map((result) => result.case.id),
    table: () => kit.tableOf(results) + kit.failuresOf(results) + kit.summaryOf(results, judged),
  });
  if (terminal.interrupt.aborted) process.exitCode = EXIT.interrupted;
  else if (!kit.conforms(results)) process.exitCode = EXIT.taskFailed;
}

async function printList(
  context: CliContext,
  command: Command,
  { kind, coordinator, only }: Flags,
): Promise<void> {
  const { output } = await context.settings(commonFlags(command));
  const kinds = kind === undefined ? kit.KINDS : [kind];
  const ofAgents = kit.CASES.filter((one) =>
    kinds.some((each) => kit.casesFor([one], each, only).length > 0),
  );
  const cases = coordinator === undefined ? ofAgents : wantedOf(kit.COORDINATOR_CASES, only);
  await present(context.terminal.out, output, {
    data: cases.map(({ id, rule, level, title, ...rest }) => {
      return { id, rule, level, kinds: 'kinds' in rest ? rest.kinds : ['coordinator'], title };
    }),
    names: cases.map(({ id }) => id),
    table: () => kit.listOf(cases),
  });
}

const wantedOf = (cases: readonly kit.CoordinatorCase[], only: readonly string[]) =>
  cases.filter((one) => only.length === 0 || only.some((what) => kit.isMeant(one, what)));

const HELP = 'holdfast conformance --help names the variables';

const misused = (what: string, because: string, suggestion: string): Failure =>
  new Failure(EXIT.usage, 'USAGE', [{ what, because, try: suggestion }]);

function refuseUnknown(only: readonly string[], cases: readonly kit.Requirement[]): void {
  const unknown = only.find((what) => !cases.some((one) => kit.isMeant(one, what)));
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

const time = (name: string, doc: string, defaultMs: number): Option =>
  new Option(`${name} <DURATION>`, doc).argParser(duration).default(defaultMs, formatDuration(defaultMs));

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 64) return value;
  throw new InvalidArgumentError('It must be a whole number from 1 to 64.');
}

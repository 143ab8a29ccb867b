import type { Command } from 'commander';
import { type CoordinatorInfo, HoldfastError } from '../client/index.js';
import { formatDuration } from '../kit/duration.js';
import { interrupted, timedOut } from './failure.js';
import { flag } from './flags.js';
import { clientAction, pause, type Session, verb } from './session.js';
import { coordinatorShape } from './shapes.js';
import { renderFacts } from './table.js';
import type { CliContext } from './terminal.js';
import { agoWords } from './words.js';

const POLL_MS = 200;
const PROBE_MS = 2_000;

/** `holdfast health`: exit code 0 when the coordinator answers, 69 when it does not. */
export function addHealth(program: Command, context: CliContext): void {
  const command = verb(program, 'health', 'whether the coordinator answers, and what it says about itself');
  flag(command, '--wait', 'wait until it does (at most --timeout)', { variable: 'HOLDFAST_HEALTH_WAIT' });
  clientAction<{ wait?: boolean }>(context, command, async (session, _args, flags) => {
    const info = flags.wait ? await waitForAnswer(session) : await session.client.coordinator(session.call);
    const { address } = session.client;
    await session.show({
      data: coordinatorShape(address, info),
      names: [info.coordinatorId],
      table: () => facts(session, info),
    });
  });
}

function facts(session: Session, info: CoordinatorInfo): string {
  const { colours, terminal } = session;
  const alarms = info.alarms.join(', ');
  return renderFacts(
    [
      ['status', { text: 'serving', paint: colours.green }],
      ['address', session.client.address],
      ['coordinator', info.coordinatorId],
      ['version', info.version],
      ['started', agoWords(info.startedAt, terminal.now())],
      ['heartbeat interval', formatDuration(info.heartbeatIntervalMs)],
      ['queued timeout', formatDuration(info.queuedTimeoutMs)],
      ['alarms', { text: alarms, paint: colours.red }],
    ],
    colours,
  );
}

async function waitForAnswer(session: Session): Promise<CoordinatorInfo> {
  const { terminal, settings, client } = session;
  const until = settings.timeoutMs === null ? Number.POSITIVE_INFINITY : terminal.now() + settings.timeoutMs;
  for (;;) {
    const left = Math.max(1, until - terminal.now());
    try {
      return await client.coordinator({ signal: terminal.interrupt, timeoutMs: Math.min(PROBE_MS, left) });
    } catch (error) {
      if (terminal.interrupt.aborted) throw interrupted();
      const known = error instanceof HoldfastError;
      const away = known && (error.code === 'COORDINATOR_UNREACHABLE' || error.code === 'DEADLINE_EXCEEDED');
      if (!away) throw error;
      if (terminal.now() >= until) throw timedOut(`the coordinator at ${client.address} does not answer`);
    }
    await pause(Math.min(POLL_MS, left), terminal.interrupt);
  }
}

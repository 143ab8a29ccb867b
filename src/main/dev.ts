import { EXIT } from '../cli/index.js';
import type { Config } from '../config/resolve.js';
import { anotherAgent, type DevAgent, devAgents, startAgentProcess, whenExited } from './dev-agents.js';
import { openLog } from './log.js';
import { endedByFault, openServer, type Server } from './server.js';
import { catchStopSignals, onFault } from './signals.js';

/**
 * `dev`: a coordinator, and agents as child processes, so that no command of a task and no DAG file can hold up the
 * leases. Ends with a signal; the agents are drained first.
 */
export async function runDev(config: Config): Promise<number> {
  const log = await openLog(config, 'holdfast-dev');
  onFault(log, EXIT.unexpected);
  const signals = catchStopSignals();
  const agents = devAgents(config);
  const server = await openServer(config, log, null, null);
  const children = agents.map((agent) => startAgentProcess(agent, config, server));
  process.stdout.write(banner(server, config, agents));
  const { coordinator } = server;
  let stopping = false;
  const stopCoordinator = (): void => {
    coordinator.stop().catch((error: unknown) => log.error({ error: String(error) }, 'stopping went wrong'));
  };
  const terminate = (): void => {
    for (const child of children) child.kill('SIGTERM');
  };
  const exited = Promise.all(
    agents.map((agent, n) => {
      const child = children[n] as (typeof children)[number];
      return whenExited(child, agent, log, () => stopping, anotherAgent(agent, server));
    }),
  );
  signals.answerWith({
    first: () => {
      stopping = true;
      log.info({}, 'stopping: what runs may finish; once more to stop it now');
      terminate();
      void exited.then(stopCoordinator);
    },
    // The agents have had their first signal: this one makes them stop what runs.
    second: terminate,
    reload: () => process.kill(process.pid, 'SIGTERM'),
  });
  const error = await coordinator.ended;
  stopping = true;
  // Without a coordinator there is nobody to drain for: the end of the channel makes the agents stop at once.
  if (error !== null) for (const child of children) if (child.connected) child.disconnect();
  await exited;
  signals.release();
  server.close();
  if (error !== null) throw endedByFault(server.place, error);
  return EXIT.ok;
}

function banner(server: Server, config: Config, agents: readonly DevAgent[]): string {
  const { address } = server.coordinator;
  const flag = address === '127.0.0.1:7400' ? '' : ` --coordinator ${address}`;
  const queues = config.get('agent.queues');
  const queue = queues.includes('default') ? '' : ` --queue ${queues[0]}`;
  const lines: readonly (readonly [string, string])[] = [
    ['coordinator', address],
    ...agents.map(({ what, agentId, serves }) => [what, `${agentId}, ${serves}`] as const),
    ['data', server.place.shown],
    ['task output', server.logDirectory],
  ];
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return [
    ...lines.map(([name, value]) => `${name.padEnd(width)}${value}`),
    '',
    'Now, in another terminal:',
    `  holdfast task submit${flag}${queue} --wait -- sh -c 'echo hello from $HOLDFAST_AGENT_ID'`,
    `  holdfast task list${flag}`,
    '',
    'Ctrl-C stops all of it.',
    '',
  ].join('\n');
}

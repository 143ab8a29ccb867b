// A dead agent: how long until it is failed, and until its work has another permit.
import { connect } from '../../dist/client/index.js';
import { startAgents, startCoordinator, until } from './processes.mjs';

/** Kills an agent with kill -9; L is 3 s. The instant of its last heartbeat comes from the lease that it left. */
export async function detection() {
  const coordinator = await startCoordinator('1s');
  const client = connect(coordinator.address);
  const doomed = startAgents(coordinator.address, 'doomed', 1);
  await doomed.connected;
  doomed.child.kill('SIGKILL');
  const at = performance.now();
  const { leaseRemainingMs } = (await client.agents.describe('doomed')).agent;
  const asked = performance.now();
  await until(
    async () => (await client.agents.describe('doomed')).agent.state === 'failed',
    20_000,
    'not failed',
  );
  const failed = performance.now();
  client.close();
  (await coordinator.stop()).remove();
  return {
    leaseMs: 3_000,
    sinceLastHeartbeatMs: 3_000 - leaseRemainingMs + (failed - asked),
    sinceKillMs: failed - at,
  };
}

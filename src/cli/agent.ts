import type { Command } from 'commander';
import { AGENT_KINDS, AGENT_STATES, type Agent, type AgentKind, type AgentState } from '../client/index.js';
import { agentDescriptionView, agentListView, agentView } from './agent-views.js';
import { interrupted, timedOut } from './failure.js';
import { durationFlag, flag, listFlag, someOf } from './flags.js';
import { clientAction, pause, type Session, verb } from './session.js';
import type { View } from './task-views.js';
import type { CliContext } from './terminal.js';

/** `holdfast agent …`, all but `start`; returns the noun so that the composition can add that one. */
export function addAgent(program: Command, context: CliContext): Command {
  const noun = program.command('agent').description('start agents, and see and steer them');
  addList(noun, context);
  const describe = verb(noun, 'describe', 'one agent with what it holds').argument('<ID>', 'agent id');
  clientAction(context, describe, async (session, [id = '']) => {
    const description = await session.client.agents.describe(id, session.call);
    await session.show(agentDescriptionView(description, viewOf(session)));
  });
  const cordon = verb(noun, 'cordon', 'no new work for an agent; what runs goes on').argument(
    '<ID>',
    'agent id',
  );
  clientAction(context, cordon, async (session, [id = '']) => {
    await showAgent(session, await session.client.agents.cordon(id, session.call));
  });
  const uncordon = verb(noun, 'uncordon', 'take cordon and drain back').argument('<ID>', 'agent id');
  clientAction(context, uncordon, async (session, [id = '']) => {
    await showAgent(session, await session.client.agents.uncordon(id, session.call));
  });
  addDrain(noun, context);
  return noun;
}

const viewOf = (session: Session): View => ({
  out: session.terminal.out,
  colours: session.colours,
  now: session.terminal.now(),
});

const showAgent = (session: Session, agent: Agent): Promise<void> =>
  session.show(agentView(agent, viewOf(session)));

function addList(noun: Command, context: CliContext): void {
  const command = verb(noun, 'list', 'every agent that was seen');
  listFlag(command, '--kind <KIND>', `only these: ${AGENT_KINDS.join(', ')}; repeatable`, {
    parse: someOf(AGENT_KINDS),
    variable: 'HOLDFAST_LIST_KIND',
  });
  listFlag(command, '--state <STATE>', `only these: ${AGENT_STATES.join(', ')}; repeatable`, {
    parse: someOf(AGENT_STATES),
    variable: 'HOLDFAST_LIST_AGENT_STATE',
  });
  type Flags = { kind?: AgentKind[]; state?: AgentState[] };
  clientAction<Flags>(context, command, async (session, _args, flags) => {
    const agents = await session.client.agents.list({ kinds: flags.kind, states: flags.state }, session.call);
    await session.show(agentListView(agents, viewOf(session)));
  });
}

const POLL_MS = 250;

function addDrain(noun: Command, context: CliContext): void {
  const command = verb(noun, 'drain', 'let an agent finish what runs, then end').argument('<ID>', 'agent id');
  flag(command, '--drain-timeout <DURATION>', 'stop what still runs after this (default: never)', {
    parse: durationFlag,
  });
  flag(command, '--wait', 'wait until it has ended', { variable: 'HOLDFAST_DRAIN_WAIT' });
  type Flags = { drainTimeout?: number; wait?: boolean };
  clientAction<Flags>(context, command, async (session, [id = ''], flags) => {
    const { agents } = session.client;
    let agent = await agents.drain(id, flags.drainTimeout, session.call);
    if (flags.wait) {
      const { terminal, settings } = session;
      const until =
        settings.timeoutMs === null ? Number.POSITIVE_INFINITY : terminal.now() + settings.timeoutMs;
      while (agent.state === 'healthy' || agent.state === 'suspect') {
        if (terminal.interrupt.aborted) throw interrupted();
        if (terminal.now() >= until) throw timedOut(`agent ${id} has not ended`);
        await pause(POLL_MS, terminal.interrupt);
        agent = (await agents.describe(id, session.call)).agent;
      }
    }
    await showAgent(session, agent);
  });
}

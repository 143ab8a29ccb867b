import type { Agent, AgentDescription } from '../client/index.js';
import type { Presentation } from './present.js';
import { agentDescriptionShape, agentShape } from './shapes.js';
import { type Cell, renderFacts, renderTable } from './table.js';
import type { View } from './task-views.js';
import { agoWords, type Colours, spanWords, stateColour } from './words.js';

const stateCell = (agent: Agent, colours: Colours): Cell => {
  const note = agent.draining ? ' (draining)' : agent.cordoned ? ' (cordoned)' : '';
  return { text: `${agent.state}${note}`, paint: stateColour(agent.state, colours) };
};

const labelWords = (agent: Agent): string =>
  Object.entries(agent.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(',');

export function agentListView(agents: readonly Agent[], view: View): Presentation {
  return {
    data: agents.map(agentShape),
    names: agents.map((agent) => agent.agentId),
    table: () =>
      renderTable(
        ['AGENT', 'KIND', 'STATE', 'RUNNING', 'LEASE', 'CONNECTED', 'QUEUES'],
        agents.map((agent) => [
          agent.agentId,
          agent.kind,
          stateCell(agent, view.colours),
          `${agent.running}/${agent.slots}`,
          agent.leaseRemainingMs === 0 ? '-' : spanWords(agent.leaseRemainingMs),
          agoWords(agent.connectedAt, view.now),
          agent.queues.join(','),
        ]),
        view.colours,
        view.out.columns,
      ),
  };
}

export function agentView(agent: Agent, view: View): Presentation {
  return { ...agentListView([agent], view), data: agentShape(agent) };
}

export function agentDescriptionView(description: AgentDescription, view: View): Presentation {
  const { agent } = description;
  const { colours } = view;
  return {
    data: agentDescriptionShape(description),
    names: [agent.agentId],
    table: () =>
      renderFacts(
        [
          ['agent', agent.agentId],
          ['kind', agent.kind],
          ['state', stateCell(agent, colours)],
          ['running', `${agent.running} of ${agent.slots} slots`],
          ['lease', agent.leaseRemainingMs === 0 ? '' : `${spanWords(agent.leaseRemainingMs)} left`],
          ['queues', agent.queues.join(', ')],
          ['labels', labelWords(agent)],
          ['handlers', agent.handlers.join(', ')],
          ['session epoch', String(agent.sessionEpoch)],
          ['instance', agent.instanceId],
          ['stream', agent.streamNo === 0n ? '' : String(agent.streamNo)],
          ['connected', agoWords(agent.connectedAt, view.now)],
          ['host', agent.hostname],
          ['software', agent.software],
          ['round trip', agent.rttMs === undefined ? '' : spanWords(agent.rttMs)],
          ['loop lag', agent.loopLagMs === undefined ? '' : spanWords(agent.loopLagMs)],
        ],
        colours,
      ) + runsTable(description, view),
  };
}

function runsTable({ runs }: AgentDescription, view: View): string {
  if (runs.length === 0) return '';
  const rows = runs.map((run) => [
    run.taskId,
    { text: run.phase, paint: stateColour(run.phase, view.colours) },
    String(run.tryNumber),
    String(run.fencingToken),
  ]);
  return `\n${renderTable(['TASK', 'PHASE', 'TRY', 'TOKEN'], rows, view.colours, view.out.columns)}`;
}

import type {
  Ack as AgentAck,
  Hello as AgentHello,
  Permit as AgentPermit,
  Report as AgentReport,
  Beat,
} from '../../agent/core/messages.js';
import type { Ack, Permit } from '../../core/frames.js';
import type { Heartbeat, Hello, Report } from '../../core/inputs.js';

/** The agent's words and the coordinator's, without the bytes between them: both sides' types, field by field. */

export function helloFromAgent({
  identity,
  streamNo,
  highestToken,
  highestEpoch,
  inventory,
  reports,
}: AgentHello): Hello {
  return {
    ...identity,
    streamNo,
    highestToken,
    highestEpoch,
    inventory,
    reports: reports.map(reportFromAgent),
  };
}

export function beatFromAgent(beat: Beat): Heartbeat {
  const { rttMs, ...rest } = beat;
  const reports = beat.reports.map(reportFromAgent);
  return { ...rest, reports, health: rttMs === null ? null : { loopLagMs: 0, rttMs } };
}

function reportFromAgent(report: AgentReport): Report {
  const { startedAtMs, endedAtMs } = report;
  return { ...report, ranMs: startedAtMs === null ? undefined : Math.max(0, endedAtMs - startedAtMs) };
}

export function ackToAgent(ack: Ack): AgentAck {
  return { ...ack, permits: ack.permits.map(permitToAgent) };
}

function permitToAgent(permit: Permit): AgentPermit {
  return { ...permit, work: null, traceparent: '', instance: null };
}

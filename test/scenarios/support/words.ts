import type { AgentNote } from '../../../src/agent/core/events.js';
import type { Beat } from '../../../src/agent/core/messages.js';
import type { RunKey, RunRow, TriggerRow } from '../../../src/core/dag/rows.js';
import type { Ack, Note } from '../../../src/core/frames.js';
import type { HistoryRow, TaskRow } from '../../../src/core/rows.js';
import type { TaskId } from '../../../src/kit/ids.js';
import type { Puts } from '../../../src/store/store.js';
import type { EventQueue } from '../../../src/testing/sim/events.js';
import { MIDNIGHT, timeOfDay } from './time.js';
import { Transcript } from './transcript.js';

const COORDINATOR = 'coordinator';

/** Puts into words what is committed, told and done. Nothing is told before it has happened. */
export class Words {
  readonly transcript = new Transcript();
  readonly #events: EventQueue;
  readonly #names = new Map<TaskId, string>();
  readonly #runs = new Map<RunKey, string>();
  readonly #runStates = new Map<RunKey, string>();
  readonly #definitions = new Map<string, number>();
  readonly #owners = new Map<string, bigint>();

  constructor(events: EventQueue) {
    this.#events = events;
  }

  tell(who: string, what: string): void {
    this.transcript.tell(this.#events.now, who, what);
  }

  nameOf(taskId: TaskId): string {
    return this.#names.get(taskId) ?? taskId;
  }

  /** `weather@02:00` */
  runName(run: RunKey): string {
    return this.#runs.get(run) ?? run;
  }

  // — what the coordinator has made durable —

  committed({ tasks, history, dags }: Puts): void {
    for (const dag of dags?.dags ?? []) {
      if (dag.active && this.#definitions.get(dag.dagId) !== dag.definitionVersion)
        this.tell(COORDINATOR, `DAG ${dag.dagId}, version ${dag.definitionVersion}, is in force`);
      if (!dag.active) this.tell(COORDINATOR, `DAG ${dag.dagId} is gone`);
      this.#definitions.set(dag.dagId, dag.active ? dag.definitionVersion : 0);
    }
    for (const { asset } of dags?.assetEvents ?? []) this.tell(COORDINATOR, `asset ${asset} was updated`);
    for (const run of dags?.runs ?? []) if (run.version === 1) this.#run(run);
    for (const { row } of tasks) this.#name(row);
    for (const row of history) this.#history(row);
    for (const trigger of dags?.triggers ?? []) this.#trigger(trigger);
    for (const run of dags?.runs ?? []) if (run.version > 1) this.#run(run);
  }

  #run(row: RunRow): void {
    const { run, dagId, logicalDate, state, type } = row;
    const at = (logicalDate ?? row.createdAt) - MIDNIGHT;
    this.#runs.set(run, `${dagId}@${timeOfDay(at).slice(0, at % 60_000 === 0 ? 5 : 8)}`);
    if (this.#runStates.get(run) === state) return;
    const before = this.#runStates.get(run);
    this.#runStates.set(run, state);
    const version = `version ${row.definitionVersion}`;
    if (before === undefined)
      this.tell(
        COORDINATOR,
        `run ${this.runName(run)}: created (${type.replace('_', ' ')}, ${version}), ${state}`,
      );
    else this.tell(COORDINATOR, `run ${this.runName(run)}: ${state}`);
  }

  #name({ taskId, instance }: TaskRow): void {
    this.#names.set(taskId, instance === null ? taskId : `${this.runName(instance.run)}/${instance.task}`);
  }

  #history({ taskId, event, agentId, tryNumber, reason, message }: HistoryRow): void {
    const whom = agentId === '' ? '' : `, ${agentId}`;
    const which = tryNumber === 0 ? '' : `, try ${tryNumber}`;
    const why = [reason, message].filter((one) => one !== '').join(': ');
    const because = why === '' ? '' : ` (${why})`;
    this.tell(COORDINATOR, `${this.nameOf(taskId)}: ${event.replaceAll('_', ' ')}${whom}${which}${because}`);
  }

  #trigger({ triggerId, taskId, epoch, agentId }: TriggerRow): void {
    if (this.#owners.get(triggerId) === epoch) return;
    this.#owners.set(triggerId, epoch);
    const whose = epoch === 0n ? 'waits for a triggerer' : `goes to ${agentId}`;
    this.tell(COORDINATOR, `trigger of ${this.nameOf(taskId)}: ${whose}`);
  }

  // — what the coordinator says —

  acked(agentId: string, { offers, withdrawals, permits }: Ack): void {
    for (const { taskId } of offers) this.tell(COORDINATOR, `${this.nameOf(taskId)}: offered to ${agentId}`);
    for (const taskId of withdrawals)
      this.tell(COORDINATOR, `${this.nameOf(taskId)}: offer to ${agentId} withdrawn`);
    for (const { taskId, token } of permits)
      this.tell(COORDINATOR, `${this.nameOf(taskId)}: start confirmed to ${agentId}, token ${token}`);
  }

  noted(note: Note): void {
    const words = wordsOf(note);
    if (words !== null) this.tell(COORDINATOR, words);
  }

  // — what agents do —

  asked(agentId: string, { startRequests }: Beat): void {
    for (const { taskId } of startRequests) this.tell(agentId, `asks to start ${this.nameOf(taskId)}`);
  }

  agentNoted(agentId: string, note: AgentNote): void {
    this.tell(
      agentId,
      wordsOfAgent(note, (taskId) => this.nameOf(taskId)),
    );
  }
}

/** Null for what says nothing that the rows have not said. */
function wordsOf(note: Note): string | null {
  switch (note.kind) {
    case 'session_granted':
      return `${note.agentId} has a new session, ${note.epoch}`;
    case 'stream_attached':
      return `${note.agentId} is connected (session ${note.epoch}, stream ${note.streamNo})`;
    case 'agent_suspect':
      return `${note.agentId} is suspect: its stream is lost`;
    case 'agent_failed':
      return `${note.agentId} is failed: not heard for ${(note.silentMs / 1_000).toFixed(1)} s, ${note.lostRuns} running`;
    case 'run_adopted':
      return `${note.agentId} has come back with a run, which goes on`;
    case 'late_report':
      return `a late report of ${note.agentId} (${note.reported}) is ${note.disposition}`;
    case 'overlap':
      return `an older run of ${note.taskId} went on beside a newer one (${note.partitionPolicy})`;
    case 'bundle_held':
      return `${note.agentId} holds bundle ${note.bundle}`;
    case 'snapshot_in_force':
      return `snapshot ${note.sequence} of ${note.agentId} is in force (DAGs: ${note.dags}, changed: ${note.changed}, gone: ${note.gone})`;
    case 'snapshot_refused':
      return `snapshot ${note.sequence} of ${note.agentId} is refused: ${note.message}`;
    case 'session_ended':
      return `the session of ${note.agentId} has ended (${note.reason})`;
    case 'agent_forgotten':
      return `${note.agentId} is forgotten`;
    case 'storm_brake':
      return `most workers have failed at once: ${note.failed} of ${note.alive}`;
    case 'inventory_mismatch':
      return `${note.agentId} is asked for all that it holds`;
    case 'commits_lost':
      return `${note.agentId} knows of commits that are lost`;
    case 'poison':
      return null;
  }
}

function wordsOfAgent(note: AgentNote, nameOf: (taskId: TaskId) => string): string {
  switch (note.kind) {
    case 'session':
      return note.isNew ? `has session ${note.epoch}` : `goes on with session ${note.epoch}`;
    case 'gate_closed':
      return `closes its gate, ${note.running} running`;
    case 'gate_open':
      return 'opens its gate';
    case 'stream_lost':
      return `has lost its stream (${note.why}), ${note.running} running`;
    case 'permit_void':
      return `does not start ${nameOf(note.taskId)}: its confirmation is void (${note.why})`;
    case 'stop_told':
      return `is told to stop a run (${note.reason})`;
    case 'late_report':
      return `hears that its report came too late (${note.disposition})`;
    case 'unreachable':
      return `cannot reach the coordinator (attempt ${note.attempt})`;
    case 'refused':
      return `is refused (${note.reason})`;
    case 'triggers_stopped':
      return `stops all of its triggers: ${note.count}`;
    case 'event_refused':
      return 'hears that its event has changed nothing';
    case 'inventory_asked':
      return 'is asked for all that it holds';
    case 'draining':
      return 'drains';
    case 'drained':
      return 'has drained';
  }
}

/** Plain data, as JSON has it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** An agent process as the journal knows it; identity and pid namespace say whether its pids mean anything here. */
export interface InstanceRecord {
  readonly instanceId: string;
  readonly pid: number;
  readonly bootId: string;
  readonly device: bigint;
  readonly inode: bigint;
  /** As /proc/self/ns/pid names it; '' where there is none. */
  readonly pidNamespace: string;
}

/** A run about to be executed: journalled before exec. */
export interface StartedRun {
  readonly token: bigint;
  readonly taskId: string;
  readonly tryNumber: number;
  readonly pgid: number;
  /** Wall clock, milliseconds since 1970. */
  readonly atMs: number;
}

/** A process group that handlers run in, journalled before the first of them is called in it. */
export interface StartedGroup {
  readonly pgid: number;
  /** Wall clock, milliseconds since 1970. */
  readonly atMs: number;
}

/** The end of a run as it is to be reported until acknowledged. */
export interface StoredReport {
  readonly token: bigint;
  /** The reporter's own: kind, exit code, reason, result. Not looked into. */
  readonly report: Json;
}

/** One line of the journal. */
export type JournalRecord =
  | { readonly kind: 'journal'; readonly version: number }
  | ({ readonly kind: 'instance' } & InstanceRecord)
  | ({ readonly kind: 'started' } & StartedRun)
  | ({ readonly kind: 'group' } & StartedGroup)
  | { readonly kind: 'groupGone'; readonly pgid: number }
  | ({ readonly kind: 'ended' } & StoredReport)
  | { readonly kind: 'acknowledged'; readonly token: bigint }
  | { readonly kind: 'highest'; readonly token: bigint; readonly epoch: bigint };

const JOURNAL_VERSION = 1;

/** Earlier instances remembered for the sweep of a take-over; the oldest are forgotten first. */
const MAX_INSTANCES = 16;

/** What the journal says, all lines taken together. */
export interface JournalState {
  readonly instances: InstanceRecord[];
  /** By token: started, no end recorded. */
  readonly runs: Map<bigint, StartedRun>;
  /** By number: not told to be gone. */
  readonly groups: Map<number, StartedGroup>;
  /** By token: ended, not acknowledged. */
  readonly reports: Map<bigint, StoredReport>;
  highestToken: bigint;
  highestEpoch: bigint;
}

export const emptyState = (): JournalState => ({
  instances: [],
  runs: new Map(),
  groups: new Map(),
  reports: new Map(),
  highestToken: 0n,
  highestEpoch: 0n,
});

/** Takes one line into the state. */
export function applyRecord(state: JournalState, record: JournalRecord): void {
  switch (record.kind) {
    case 'journal':
      return;
    case 'instance': {
      const { kind: _, ...instance } = record;
      state.instances.push(instance);
      if (state.instances.length > MAX_INSTANCES) state.instances.shift();
      return;
    }
    case 'started': {
      const { token, taskId, tryNumber, pgid, atMs } = record;
      state.runs.set(token, { token, taskId, tryNumber, pgid, atMs });
      if (token > state.highestToken) state.highestToken = token;
      return;
    }
    case 'group':
      state.groups.set(record.pgid, { pgid: record.pgid, atMs: record.atMs });
      return;
    case 'groupGone':
      state.groups.delete(record.pgid);
      return;
    case 'ended':
      state.runs.delete(record.token);
      state.reports.set(record.token, { token: record.token, report: record.report });
      return;
    case 'acknowledged':
      state.reports.delete(record.token);
      return;
    case 'highest':
      if (record.token > state.highestToken) state.highestToken = record.token;
      if (record.epoch > state.highestEpoch) state.highestEpoch = record.epoch;
      return;
  }
}

/** A line of a later version, which may mean anything: to pass over it could be to forget a run. */
export class NewerRecordError extends Error {
  override readonly name = 'NewerRecordError';
}

/** The fewest lines that say the same. */
export function recordsOf(state: JournalState): readonly JournalRecord[] {
  return [
    { kind: 'journal', version: JOURNAL_VERSION },
    { kind: 'highest', token: state.highestToken, epoch: state.highestEpoch },
    ...state.instances.map((instance) => ({ kind: 'instance' as const, ...instance })),
    ...[...state.groups.values()].map((group) => ({ kind: 'group' as const, ...group })),
    ...[...state.runs.values()].map((run) => ({ kind: 'started' as const, ...run })),
    ...[...state.reports.values()].map((report) => ({ kind: 'ended' as const, ...report })),
  ];
}

export function printRecord(record: JournalRecord): string {
  return `${JSON.stringify(printable(record))}\n`;
}

/** 64-bit numbers travel as decimal strings: JSON's own would lose digits. */
function printable(record: JournalRecord): object {
  switch (record.kind) {
    case 'journal':
    case 'group':
    case 'groupGone':
      return record;
    case 'instance':
      return { ...record, device: String(record.device), inode: String(record.inode) };
    case 'started':
    case 'ended':
    case 'acknowledged':
      return { ...record, token: String(record.token) };
    case 'highest':
      return { ...record, token: String(record.token), epoch: String(record.epoch) };
  }
}

/** Throws NewerRecordError, or an Error that says what is wrong with the line. */
export function parseRecord(line: string): JournalRecord {
  const fields = new Fields(JSON.parse(line));
  const kind = fields.text('kind');
  switch (kind) {
    case 'journal': {
      const version = fields.number('version');
      if (version > JOURNAL_VERSION)
        throw new NewerRecordError(`its version is ${version}, and this agent knows ${JOURNAL_VERSION}`);
      return { kind, version };
    }
    case 'instance':
      return {
        kind,
        instanceId: fields.text('instanceId'),
        pid: fields.number('pid'),
        bootId: fields.text('bootId'),
        device: fields.uint64('device'),
        inode: fields.uint64('inode'),
        pidNamespace: fields.text('pidNamespace'),
      };
    case 'started':
      return {
        kind,
        token: fields.uint64('token'),
        taskId: fields.text('taskId'),
        tryNumber: fields.number('tryNumber'),
        pgid: fields.number('pgid'),
        atMs: fields.number('atMs'),
      };
    case 'group':
      return { kind, pgid: fields.number('pgid'), atMs: fields.number('atMs') };
    case 'groupGone':
      return { kind, pgid: fields.number('pgid') };
    case 'ended':
      return { kind, token: fields.uint64('token'), report: fields.json('report') };
    case 'acknowledged':
      return { kind, token: fields.uint64('token') };
    case 'highest':
      return { kind, token: fields.uint64('token'), epoch: fields.uint64('epoch') };
  }
  throw new NewerRecordError(`this agent knows no lines of kind ${JSON.stringify(kind)}`);
}

/** The fields of a parsed line, each of the type asked for. */
class Fields {
  private readonly record: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    if (typeof value !== 'object' || value === null) throw new Error('it is not an object');
    this.record = value as Readonly<Record<string, unknown>>;
  }

  text(name: string): string {
    const value = this.record[name];
    return typeof value === 'string' ? value : this.wrong(name);
  }

  number(name: string): number {
    const value = this.record[name];
    return typeof value === 'number' && Number.isFinite(value) ? value : this.wrong(name);
  }

  uint64(name: string): bigint {
    const value = this.record[name];
    return typeof value === 'string' && /^\d{1,20}$/.test(value) ? BigInt(value) : this.wrong(name);
  }

  json(name: string): Json {
    const value = this.record[name];
    return value === undefined ? this.wrong(name) : (value as Json);
  }

  private wrong(name: string): never {
    throw new Error(`its field ${name} is missing or of the wrong type`);
  }
}

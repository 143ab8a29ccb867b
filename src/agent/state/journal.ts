import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { AgentClock } from '../clock.js';
import {
  applyRecord,
  emptyState,
  type InstanceRecord,
  type JournalRecord,
  type JournalState,
  type Json,
  NewerRecordError,
  parseRecord,
  printRecord,
  recordsOf,
  type StartedGroup,
  type StartedRun,
  type StoredReport,
} from './records.js';

const JOURNAL_FILE = 'journal.jsonl';

/** A line, in bytes: a report with a result of 256 KiB in base64 takes about 350 KB. A longer report is refused. */
export const MAX_LINE_BYTES = 1024 * 1024;
/** Runs without an end and reports without an acknowledgement, together; beyond it `startRun` is refused. */
export const MAX_HELD = 4_096;
/** Size of the journal, in bytes, beyond which `startRun` is refused, if writing it anew does not help. */
const MAX_BYTES = 64 * 1024 * 1024;
/** Growth since it was last written anew, in bytes, after which the journal is written anew. */
export const COMPACT_AFTER_BYTES = 8 * 1024 * 1024;

/** What an earlier process left. */
export interface Recovered {
  readonly previousInstance: InstanceRecord | null;
  /** The previous one last. */
  readonly instances: readonly InstanceRecord[];
  readonly highestToken: bigint;
  readonly highestEpoch: bigint;
  /** Started, end unknown: to be reported as lost, or never started (fault 3). */
  readonly runs: readonly StartedRun[];
  /** That handlers ran in, not told to be gone. */
  readonly groups: readonly StartedGroup[];
  /** Ended, not acknowledged: to be reported again (fault 5). */
  readonly reports: readonly StoredReport[];
}

/** Refused: nothing was written and nothing has changed. `io` may pass (a full disk); keep the record and ask again. */
export type JournalWrite = { readonly kind: 'written' } | JournalRefusal;

interface JournalRefusal {
  readonly kind: 'refused';
  readonly code: 'full' | 'tooLong' | 'io';
  readonly text: string;
}

/** The first `count` runs may be executed; why not the others, if there are any. */
interface JournalledStarts {
  readonly count: number;
  readonly refusal: JournalRefusal | null;
}

/** The journal cannot be read. It was moved aside, so that the next start begins a new one and nothing is overwritten. */
class JournalCorruptError extends Error {
  override readonly name = 'JournalCorruptError';
  readonly movedTo: string;

  constructor(file: string, movedTo: string, line: number, because: string) {
    super(
      `journal ${file} is damaged at line ${line}: ${because}. It was moved to ${movedTo}. ` +
        'Start the agent again: it begins with an empty journal; runs and results known only to the old one are lost',
    );
    this.movedTo = movedTo;
  }
}

/**
 * The journal is whole, and a later version of the agent has written it. It stays where it is: set aside like a damaged one,
 * the next start would know nothing of runs whose results that version can still deliver.
 */
export class JournalNewerError extends Error {
  override readonly name = 'JournalNewerError';

  constructor(file: string, line: number, because: string) {
    super(
      `journal ${file} was written by a newer agent: at line ${line}, ${because}. Start that version again, and drain it ` +
        'before you go back: what has drained holds nothing, and its file may be removed',
    );
  }
}

/**
 * What an agent must remember over its own death: runs before exec, ends before their acknowledgement, the highest token
 * and epoch seen. Lines of JSON, written synchronously and not forced to the disk: it survives the process, not the
 * machine, where no run survives either. Opened under the lock of the state directory only.
 */
export class Journal {
  readonly recovered: Recovered;
  private readonly file: string;
  private readonly state: JournalState;
  private fd = -1;
  private bytes = 0;
  /** A write that failed may have left a part of its line behind `bytes`. */
  private torn = false;
  private compactAtBytes = 0;
  /** Lines of what is already in `state`, for the next write; at most two for each run. */
  private waiting: string[] = [];

  private constructor(file: string, state: JournalState) {
    this.file = file;
    this.state = state;
    this.recovered = {
      previousInstance: state.instances.at(-1) ?? null,
      instances: [...state.instances],
      highestToken: state.highestToken,
      highestEpoch: state.highestEpoch,
      runs: [...state.runs.values()],
      groups: [...state.groups.values()],
      reports: [...state.reports.values()],
    };
    this.compact();
  }

  /** Reads what is there, writes it anew without what is settled, and goes on from there. */
  static open(stateDir: string, clock: AgentClock): Journal {
    const file = join(stateDir, JOURNAL_FILE);
    return new Journal(file, existsSync(file) ? readState(file, clock) : emptyState());
  }

  /** An agent process begins. */
  startInstance(instance: InstanceRecord): JournalWrite {
    return this.append([{ kind: 'instance', ...instance }]);
  }

  /** Before exec, in one write: `written` is the leave to execute. */
  startRuns(runs: readonly StartedRun[]): JournalledStarts {
    if (this.bytes >= MAX_BYTES) this.compactIfPossible();
    const held = this.state.runs.size + this.state.reports.size;
    const room = this.bytes >= MAX_BYTES ? 0 : Math.max(0, MAX_HELD - held);
    const started = runs.slice(0, room).map((run) => ({ kind: 'started' as const, ...run }));
    const written = started.length === 0 ? WRITTEN : this.append(started);
    if (written.kind === 'refused') return { count: 0, refusal: written };
    if (started.length === runs.length) return { count: runs.length, refusal: null };
    const text = `the journal is full (${held} runs and reports, ${this.bytes} bytes): no run starts until reports are acknowledged`;
    return { count: started.length, refusal: { kind: 'refused', code: 'full', text } };
  }

  /** Before the first run in it. */
  startGroup(group: StartedGroup): JournalWrite {
    return this.append([{ kind: 'group', ...group }]);
  }

  /** Written by the next `flush`, or along with any other record: a group that is gone is looked for in vain. */
  endGroup(pgid: number): void {
    const record = { kind: 'groupGone', pgid } as const;
    if (this.state.groups.has(pgid)) this.keep(record, printRecord(record));
  }

  /** Whether the run was started, as far as the journal knows, and has no end. */
  hasStarted(token: bigint): boolean {
    return this.state.runs.has(token);
  }

  /** Written by the next `flush`, which must come before the report is first sent. */
  endRun(token: bigint, report: Json): JournalWrite {
    const record = { kind: 'ended', token, report } as const;
    const line = printRecord(record);
    return tooLong(line) ?? this.keep(record, line);
  }

  /**
   * Written by the next `flush`, or along with any other record: an acknowledgement that dies with its process leaves a
   * report that is sent once more, and acknowledged once more.
   */
  acknowledge(token: bigint): void {
    const record = { kind: 'acknowledged', token } as const;
    if (this.state.reports.has(token)) this.keep(record, printRecord(record));
  }

  /** In one write, what was said since the last. Refused: it stays, and goes with the next. */
  flush(): JournalWrite {
    return this.waiting.length === 0 ? WRITTEN : this.append([]);
  }

  /** Nothing is written unless one of them is higher than ever. */
  raiseHighest(token: bigint, epoch: bigint): JournalWrite {
    if (token <= this.state.highestToken && epoch <= this.state.highestEpoch) return { kind: 'written' };
    return this.append([{ kind: 'highest', token, epoch }]);
  }

  close(): void {
    this.flush();
    closeSync(this.fd);
    this.fd = -1;
  }

  private keep(record: JournalRecord, line: string): JournalWrite {
    applyRecord(this.state, record);
    this.waiting.push(line);
    return WRITTEN;
  }

  /** All of them or none. */
  private append(records: readonly JournalRecord[]): JournalWrite {
    const lines = records.map(printRecord);
    for (const line of lines) {
      const refusal = tooLong(line);
      if (refusal !== null) return refusal;
    }
    const text = Buffer.from([...this.waiting, ...lines].join(''));
    try {
      if (this.torn) ftruncateSync(this.fd, this.bytes);
      this.torn = true;
      writeAll(this.fd, text, this.bytes);
      this.torn = false;
    } catch (error) {
      return { kind: 'refused', code: 'io', text: `journal ${this.file}: ${(error as Error).message}` };
    }
    this.waiting = [];
    this.bytes += text.length;
    for (const record of records) applyRecord(this.state, record);
    if (this.bytes >= this.compactAtBytes) this.compactIfPossible();
    return WRITTEN;
  }

  private compactIfPossible(): void {
    try {
      this.compact();
    } catch {
      // No room for a second file: the first is whole and stays in use.
      this.compactAtBytes = this.bytes + COMPACT_AFTER_BYTES;
    }
  }

  /** Writes the state to a new file, forced to the disk before it takes the old one's place. */
  private compact(): void {
    const fresh = `${this.file}.new`;
    const text = Buffer.from(recordsOf(this.state).map(printRecord).join(''));
    const fd = openSync(fresh, 'w', 0o600);
    try {
      writeAll(fd, text, 0);
      fsyncSync(fd);
      renameSync(fresh, this.file);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    if (this.fd !== -1) closeSync(this.fd);
    this.fd = fd;
    this.bytes = text.length;
    this.waiting = [];
    this.torn = false;
    this.compactAtBytes = this.bytes + COMPACT_AFTER_BYTES;
  }
}

const WRITTEN = { kind: 'written' } as const;

function tooLong(line: string): JournalRefusal | null {
  const bytes = Buffer.byteLength(line);
  if (bytes <= MAX_LINE_BYTES) return null;
  const text = `a journal line of ${bytes} bytes is longer than ${MAX_LINE_BYTES}`;
  return { kind: 'refused', code: 'tooLong', text };
}

/** A disk that fills up takes a part and says so only by the count. */
function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}

function readState(file: string, clock: AgentClock): JournalState {
  const lines = readFileSync(file, 'utf8').split('\n');
  // Behind the last newline stands nothing, or a line torn by the death of its writer: it was never acted upon.
  lines.pop();
  const state = emptyState();
  for (const [i, line] of lines.entries()) {
    try {
      applyRecord(state, parseRecord(line));
    } catch (error) {
      if (error instanceof NewerRecordError) throw new JournalNewerError(file, i + 1, error.message);
      const movedTo = `${file}.damaged-${clock.wallMs()}`;
      renameSync(file, movedTo);
      throw new JournalCorruptError(file, movedTo, i + 1, (error as Error).message);
    }
  }
  return state;
}

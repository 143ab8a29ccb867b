import { join } from 'node:path';
import type { AgentId, TaskId, Token } from '../kit/ids.js';
import type { LogChunk } from '../wire/gen/holdfast/v1/agent_service.js';
import { LIMITS } from '../wire/limits.js';
import { type LogPiece, type Places, readPieces, seekTail } from './log-pieces.js';
import { bytesIn, folderOf, listSegments, namesIn, removeDirectory, taskDirectory } from './log-segments.js';
import { type LogOwner, type SegmentTerms, TryLog } from './try-log.js';

export type { LogOwner } from './try-log.js';

/** Finds the owner of a token; null when it was never permitted. */
export type FindOwner = (token: Token, taskId: TaskId) => Promise<LogOwner | null>;

export interface AppendResult {
  readonly nextOffset: number;
  /** No more output of this token is taken: it is foreign, or the agent broke the rules. */
  readonly closed: boolean;
  /** It could not be written: the agent has to send it again from `nextOffset`. */
  readonly resend: boolean;
}

export interface TaskLogOptions {
  readonly directory: string;
  readonly findOwner: FindOwner;
  readonly segments: SegmentTerms;
  /** Hears of writes that failed. */
  complain(error: unknown): void;
}

/** Runs whose file is kept open; the least recently written is closed first. */
const OPEN_FILES = 256;

/**
 * Output of tasks, in files beside the database: named by try, token and offset, so that tries never mix. A chunk is
 * written before it is acknowledged (it survives the process, not the machine), and written once: what an agent repeats
 * after a reconnect is recognised by its offset.
 */
export class TaskLogs {
  /** All output together has reached its limit: what comes waits with the agents, as on a full disk. */
  full = false;
  readonly #options: TaskLogOptions;
  readonly #logs = new Map<Token, TryLog>();
  /** Writes of one token go one after the other. */
  readonly #writing = new Map<Token, { readonly taskId: string; readonly write: Promise<AppendResult> }>();
  readonly #followers = new Map<TaskId, Set<() => void>>();
  /** Bytes of the folders that were counted: a start does not wait until all of them are. */
  #bytes = 0;
  readonly #counted = new Set<string>();

  constructor(options: TaskLogOptions) {
    this.#options = options;
  }

  /** Bytes on disk, as far as they were counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Never rejects: what cannot be written is asked for again. */
  append(agentId: AgentId, chunk: LogChunk): Promise<AppendResult> {
    const token = chunk.token as Token;
    const before: Promise<unknown> = this.#writing.get(token)?.write ?? Promise.resolve();
    const write = before
      .then(() => this.#append(agentId, token, chunk))
      .catch((error: unknown) => {
        this.#options.complain(error);
        return { nextOffset: this.#logs.get(token)?.next ?? 0, closed: false, resend: true };
      });
    this.#writing.set(token, { taskId: chunk.taskId, write });
    const forget = () => {
      if (this.#writing.get(token)?.write === write) this.#writing.delete(token);
    };
    void write.then(forget);
    return write;
  }

  async #append(agentId: AgentId, token: Token, chunk: LogChunk): Promise<AppendResult> {
    const log = await this.#open(token, chunk.taskId as TaskId);
    if (log === null || log.owner.agentId !== agentId) return { nextOffset: 0, closed: true, resend: false };
    if (chunk.data.length > LIMITS.logChunkBytes)
      return { nextOffset: log.next, closed: true, resend: false };
    const offset = Number(chunk.offset);
    const resend = { nextOffset: log.next, closed: false, resend: true };
    if (log.failed && offset > log.next) return resend;
    // A gap can only come from a coordinator that lost what it had acknowledged; what is there is still worth keeping.
    const known = Math.max(0, log.next - offset);
    const data = chunk.data.subarray(known);
    if (data.length > 0) {
      log.failed = this.full || !(await this.#write(log, chunk, data, offset + known));
      if (log.failed) return resend;
      for (const wake of this.#followers.get(log.owner.taskId) ?? []) wake();
    }
    return { nextOffset: log.next, closed: false, resend: false };
  }

  async #write(log: TryLog, chunk: LogChunk, data: Uint8Array, offset: number): Promise<boolean> {
    const record = { stream: chunk.stream, atMs: chunk.at?.getTime() ?? 0, data };
    try {
      this.#count(log.owner.taskId, await log.write(record, offset));
      return true;
    } catch (error) {
      this.#options.complain(error);
      return false;
    }
  }

  async #open(token: Token, taskId: TaskId): Promise<TryLog | null> {
    const known = this.#logs.get(token);
    if (known !== undefined) {
      this.#logs.delete(token);
      this.#logs.set(token, known);
      return known;
    }
    const owner = await this.#options.findOwner(token, taskId);
    if (owner === null) return null;
    const directory = this.#directoryOf(owner.taskId);
    const { log, removed } = await TryLog.open(directory, owner, token, this.#options.segments);
    this.#count(owner.taskId, -removed);
    this.#logs.set(token, log);
    await this.#closeOldest();
    return log;
  }

  async #closeOldest(): Promise<void> {
    if (this.#logs.size <= OPEN_FILES) return;
    for (const [token, log] of this.#logs) {
      if (this.#writing.has(token) && this.#logs.size <= 2 * OPEN_FILES) continue;
      this.#logs.delete(token);
      await log.close();
      return;
    }
  }

  /**
   * What has arrived of a task's output, oldest try first; writes under way are waited for. `places` remembers where each
   * run was left, so that reading on costs only what is new.
   */
  async *read(taskId: TaskId, tryNumber: number, places: Places = new Map()): AsyncGenerator<LogPiece> {
    yield* readPieces(await this.#segments(taskId, tryNumber), places);
  }

  /** Puts `places` where the last `bytes` begin; returns how many bytes behind them are still to be left out. */
  async seekTail(taskId: TaskId, tryNumber: number, bytes: number, places: Places): Promise<number> {
    return seekTail(await this.#segments(taskId, tryNumber), bytes, places);
  }

  async #segments(taskId: TaskId, tryNumber: number) {
    await this.#settled((id) => id === taskId);
    const segments = await listSegments(this.#directoryOf(taskId));
    return tryNumber === 0 ? segments : segments.filter((segment) => segment.tryNumber === tryNumber);
  }

  /** Removes all output of tasks. Never rejects: what is left is found by the sweep of the next start. */
  async remove(taskIds: readonly TaskId[]): Promise<void> {
    const gone = new Set<string>(taskIds);
    try {
      await this.#settled((taskId) => gone.has(taskId));
      for (const [token, log] of this.#logs) {
        if (!gone.has(log.owner.taskId)) continue;
        this.#logs.delete(token);
        await log.close();
      }
      for (const taskId of taskIds) this.#count(taskId, -(await removeDirectory(this.#directoryOf(taskId))));
    } catch (error) {
      this.#options.complain(error);
    }
  }

  async #settled(of: (taskId: string) => boolean): Promise<void> {
    const under = [...this.#writing.values()].filter(({ taskId }) => of(taskId));
    await Promise.allSettled(under.map(({ write }) => write));
  }

  /** Names of the folders that hold tasks. */
  folders(): Promise<string[]> {
    return namesIn(this.#options.directory);
  }

  /** Tasks with output in a folder. From here on the folder counts: see `countTask`. */
  async tasksIn(folder: string): Promise<TaskId[]> {
    this.#counted.add(folder);
    const names = await namesIn(join(this.#options.directory, folder)).catch(() => []);
    return names.filter((name) => folderOf(name as TaskId) === folder) as TaskId[];
  }

  /** Adds what is there of a task; once for each, at a start. */
  async countTask(taskId: TaskId): Promise<void> {
    this.#bytes += await bytesIn(this.#directoryOf(taskId));
  }

  #count(taskId: TaskId, bytes: number): void {
    if (this.#counted.has(folderOf(taskId))) this.#bytes = Math.max(0, this.#bytes + bytes);
  }

  /** Calls `wake` whenever output of the task is written, until the returned function is called. */
  follow(taskId: TaskId, wake: () => void): () => void {
    const followers = this.#followers.get(taskId) ?? new Set();
    followers.add(wake);
    this.#followers.set(taskId, followers);
    return () => {
      followers.delete(wake);
      if (followers.size === 0) this.#followers.delete(taskId);
    };
  }

  async close(): Promise<void> {
    await this.#settled(() => true);
    for (const log of this.#logs.values()) await log.close();
    this.#logs.clear();
  }

  #directoryOf(taskId: TaskId): string {
    return taskDirectory(this.#options.directory, taskId);
  }
}

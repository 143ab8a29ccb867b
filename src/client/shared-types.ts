import type { InstanceName } from './types.js';

/** Something that tasks update and schedules wait for. */
export interface Asset {
  /** Its name. */
  readonly asset: string;
  /** Number of its newest event; 0n when it had none. */
  readonly lastEvent: bigint;
  /** Undefined when it had none. */
  readonly lastEventAt: Date | undefined;
  /** DAGs whose schedules name it. */
  readonly dagIds: readonly string[];
}

/** Something that happened to an asset. */
export interface AssetEvent {
  /** Over all assets, in order. */
  readonly n: bigint;
  /** The asset that it happened to. */
  readonly asset: string;
  /** By the wall clock of the coordinator. */
  readonly at: Date | undefined;
  /** The instance whose success it was; undefined for one from outside. */
  readonly source: InstanceName | undefined;
  /** What its source had to say; undefined when nothing. */
  readonly extra: unknown;
}

/** A pool of slots that task instances share. */
export interface Pool {
  /** Its name. */
  readonly pool: string;
  /** Undefined means no limit, which only `default_pool` has until it is set. */
  readonly slots: number | undefined;
  /** Slots of instances that are queued or running. */
  readonly used: number;
  /** Instances that wait for slots of it, or of their run. */
  readonly waiting: number;
  /** For people; empty means none. */
  readonly description: string;
  /** False when instances name it and nobody has set it: it has no slots then. */
  readonly known: boolean;
}

/** What a deferred task waits for. */
export interface Trigger {
  /** Given by the coordinator. */
  readonly triggerId: string;
  /** The task that waits. */
  readonly taskId: string;
  /** The instance that the task is; undefined for one that was submitted. */
  readonly instance: InstanceName | undefined;
  /** A built-in kind, or one that a triggerer registers. */
  readonly kind: string;
  /** What it was given. */
  readonly input: unknown;
  /** By the wall clock of the coordinator. */
  readonly createdAt: Date | undefined;
  /** From now; undefined means never. */
  readonly timesOutInMs: number | undefined;
  /** The triggerer that it is assigned to; empty while it waits for one. */
  readonly agentId: string;
  /** Of its newest assignment; 0n before the first. */
  readonly fencingToken: bigint;
}

/** Which triggers are meant: those that fit every field that is there. */
export interface TriggerFilter {
  /** Of this kind. */
  readonly kind?: string | undefined;
  /** Only those that wait for a triggerer. Default false. */
  readonly unassigned?: boolean | undefined;
}

/** What one bundle of DAG files looked like in its last complete snapshot. */
export interface Bundle {
  /** Its name. */
  readonly bundle: string;
  /** The DAG processor that holds it, or held it last; empty means that none has. */
  readonly agentId: string;
  /** When its last complete snapshot was taken in; undefined when there was none. */
  readonly receivedAt: Date | undefined;
  /** Milliseconds since anybody was connected that reads it; undefined while its holder is. */
  readonly unheardForMs: number | undefined;
  /** Its DAGs that are active. */
  readonly dagCount: number;
  /** Files of it that cannot be parsed. */
  readonly importErrors: readonly {
    readonly file: string;
    readonly message: string;
    readonly since: Date | undefined;
  }[];
}

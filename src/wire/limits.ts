/** The limits of the stream. The coordinator enforces them, but for the output window, and dictates them in its Welcome. */
export const LIMITS = {
  /** Bytes of one message, up or down; a larger one ends its stream with RESOURCE_EXHAUSTED. */
  messageBytes: 1024 * 1024,
  /** Bytes of a result; a larger one is refused by the agent before it is sent. */
  resultBytes: 256 * 1024,
  /** Bytes of a handler's input; a submission with a larger one is refused. */
  inputBytes: 256 * 1024,
  /** Bytes of a trigger's input, of the state that a deferral keeps, and of an event's payload, each; the try fails beyond. */
  triggerBytes: 64 * 1024,
  /** Kinds that one triggerer names; a Hello with more is refused. */
  triggerKinds: 256,
  /** Triggers of one triggerer (its slots); a Hello with more is refused. */
  triggers: 100_000,
  /** Handlers of one worker; a Hello with more is refused. */
  handlers: 1_000,
  /** Characters of a progress message. */
  progressLength: 1_024,
  /** Bytes of data in one LogChunk. */
  logChunkBytes: 64 * 1024,
  /** Bytes of task output that an agent leaves unacknowledged; kept by the agent, not enforced. */
  logWindowBytes: 1024 * 1024,
  /** Bytes of reports in one Hello with its chunks; the agent sends the rest in heartbeats. */
  helloReportBytes: 8 * 1024 * 1024,
  /** Heartbeats that may wait for their acknowledgement before the stream is no longer read. */
  heartbeatWindow: 32,
  /** Messages, and bytes, that may wait to be read by a slow agent; beyond them its stream is closed. */
  outboxMessages: 4_096,
  outboxBytes: 16 * 1024 * 1024,
  /** Characters of an id, a queue, a label or a reason code. */
  nameLength: 128,
  /** Characters of a message for people. */
  messageLength: 4_096,
  queues: 64,
  /** Bundles of one DAG processor. */
  bundles: 64,
  /** Bytes of data in one BundleChunk, and of all chunks of one snapshot; a larger one is refused. */
  bundleChunkBytes: 256 * 1024,
  snapshotBytes: 64 * 1024 * 1024,
  /** Bytes of snapshots on their way, of all processors together; a further one waits before its first chunk. */
  bundlesBytes: 128 * 1024 * 1024,
  /** Milliseconds without a chunk after which a snapshot gives its room back; it may begin again. */
  bundleIdleMs: 30_000,
  /** Bytes of snapshots that an agent leaves unacknowledged. */
  bundleWindowBytes: 1024 * 1024,
  /** DAGs of one snapshot, and bytes of each; a snapshot with more, or the DAG, is refused. */
  bundleDags: 100_000,
  dagBytes: 4 * 1024 * 1024,
  /** Characters of the path of a file within its bundle. */
  fileLength: 1_024,
  labels: 32,
  /** Milliseconds until the Hello is complete. */
  helloMs: 10_000,
} as const;

/**
 * gRPC options of both ends: keepalive frees dead sockets, and nothing else. Who owns what is decided by the lease, and
 * both ends give up a silent stream after 1.5 heartbeat intervals (P4), so pings as frequent as heartbeats would only double
 * what thousands of idle agents cost.
 */
export const KEEPALIVE = {
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 10_000,
} as const;

/** The version of the agent protocol spoken here. */
export const PROTOCOL_VERSION = 1;

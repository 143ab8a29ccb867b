/** What one engine has done since it was started. */
export interface EngineCounters {
  commits: number;
  batches: number;
  inputs: number;
  tasksPut: number;
  tasksRemoved: number;
  permits: number;
  reports: number;
  heartbeats: number;
  stallMs: number;
  unknownArms: number;
  /** Runs seen to have gone on beside a newer one of their task. */
  overlaps: number;
}

/** All of them at zero. */
export const newCounters = (): EngineCounters => ({
  commits: 0,
  batches: 0,
  inputs: 0,
  tasksPut: 0,
  tasksRemoved: 0,
  permits: 0,
  reports: 0,
  heartbeats: 0,
  stallMs: 0,
  unknownArms: 0,
  overlaps: 0,
});

import { beforeAll, describe, expect, test } from '@jest/globals';

const { counts }: { counts: () => Promise<Counts> } = await import(
  String(new URL('../../scripts/bench/counts.mjs', import.meta.url))
);

interface Shape {
  readonly commitsPer1000: number;
  readonly messagesPerTask: number;
  readonly recordsPerMessage: number;
  readonly statementsPerTask: number;
  readonly bytesPerTask: number;
}

interface Counts {
  readonly oneAgent: Shape;
  readonly hundredAgents: Shape;
  readonly idle: {
    readonly bytesPerHeartbeat: number;
    readonly commits: number;
    readonly heartbeats: number;
  };
}

const COMMITS = { oneAgent: 20, hundredAgents: 32 };
/** Above 1 there are too many of them. */
const commitsOver = ({ oneAgent, hundredAgents }: Counts): number =>
  Math.max(oneAgent.commitsPer1000 / COMMITS.oneAgent, hundredAgents.commitsPer1000 / COMMITS.hundredAgents);

/** Above what is counted today by a quarter or so: what makes a task dearer has to be meant, and then moves its bound. */
describe('the costs that no machine changes stay within their bounds', () => {
  let counted: Counts;
  beforeAll(async () => {
    counted = await counts();
    // Where something else has the machine, messages come apart that would have shared a commit: what costs more does so every time.
    for (let again = 0; again < 2 && commitsOver(counted) > 1; again++) {
      const next = await counts();
      if (commitsOver(next) < commitsOver(counted)) counted = next;
    }
  }, 120_000);

  test('a thousand tasks take at most 20 commits through one agent with 100 slots, 32 through 100 agents with one', () => {
    expect(counted.oneAgent.commitsPer1000).toBeLessThanOrEqual(COMMITS.oneAgent);
    expect(counted.hundredAgents.commitsPer1000).toBeLessThanOrEqual(COMMITS.hundredAgents);
  });

  test('an agent with 100 slots speaks of 120 starts and ends at least in one message', () => {
    expect(counted.oneAgent.recordsPerMessage).toBeGreaterThanOrEqual(120);
    expect(counted.oneAgent.messagesPerTask).toBeLessThanOrEqual(0.035);
  });

  test('a task costs an agent with one slot at most 2.6 messages, up and down together', () => {
    expect(counted.hundredAgents.messagesPerTask).toBeLessThanOrEqual(2.6);
  });

  test('a task takes at most 5 statements of the store', () => {
    expect(counted.oneAgent.statementsPerTask).toBeLessThanOrEqual(5);
    expect(counted.hundredAgents.statementsPerTask).toBeLessThanOrEqual(5);
  });

  test('a task takes at most 360 bytes on a stream that carries a hundred at once, 420 on one of its own', () => {
    expect(counted.oneAgent.bytesPerTask).toBeLessThanOrEqual(360);
    expect(counted.hundredAgents.bytesPerTask).toBeLessThanOrEqual(420);
  });

  test('a heartbeat that says nothing new is never committed, and allocates at most 21 KB in the coordinator', () => {
    expect(counted.idle.heartbeats).toBeGreaterThan(100);
    expect(counted.idle.commits).toBe(0);
    expect(counted.idle.bytesPerHeartbeat).toBeLessThanOrEqual(21_000);
  });
});

import { PassThrough } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import { ChildOutput } from '../../src/agent/runner/child-output.js';
import { OUTPUT_WINDOW_BYTES, type RunnerMessage } from '../../src/agent/runner/protocol.js';

/** The output of a child whose pipes are the test's. */
class Scene {
  readonly told: Extract<RunnerMessage, { kind: 'output' }>[] = [];
  readonly out = new PassThrough({ highWaterMark: 16 * OUTPUT_WINDOW_BYTES });
  readonly err = new PassThrough();
  readonly output = new ChildOutput(
    realClock,
    (message) => void (message.kind === 'output' && this.told.push(message)),
    () => this.catchUp(),
  );
  /** What the child has said when its output is read. */
  catchUp = (): void => {};

  constructor() {
    this.output.attach('stdout', this.out, null);
    this.output.attach('stderr', this.err, null);
  }

  get words(): string[] {
    return this.told.map(({ runId, stream, data }) => `${runId} ${stream} ${Buffer.from(data).toString()}`);
  }

  get bytes(): number {
    return this.told.reduce((sum, { data }) => sum + data.length, 0);
  }
}

describe('the output of a process for handlers', () => {
  test('belongs to the run that it has just now, and between two runs to nobody', async () => {
    const scene = new Scene();
    scene.out.write('before');
    await turn();
    scene.output.begin('1');
    scene.out.write('first');
    await turn();
    scene.output.end();
    scene.err.write('between');
    await turn();
    scene.output.begin('2');
    scene.err.write('second');
    await turn();
    expect(scene.words).toEqual(['1 stdout first', '2 stderr second']);
  });

  test('is not read while a window of it is under way, so that a flood blocks its writer', async () => {
    const scene = new Scene();
    scene.output.begin('1');
    const piece = Buffer.alloc(OUTPUT_WINDOW_BYTES / 4);
    for (let i = 0; i < 12; i++) {
      scene.out.write(piece);
      await turn();
    }
    expect(scene.bytes).toBe(OUTPUT_WINDOW_BYTES);
    scene.output.taken(piece.length);
    await turn();
    expect(scene.bytes).toBeGreaterThan(OUTPUT_WINDOW_BYTES);
    expect(scene.bytes).toBeLessThanOrEqual(2 * OUTPUT_WINDOW_BYTES);
  });

  test('that was held back is told before the end of its run, and never as the next one', async () => {
    const scene = new Scene();
    scene.output.begin('1');
    scene.out.write(Buffer.alloc(OUTPUT_WINDOW_BYTES));
    await turn();
    scene.out.write('held back');
    await turn();
    expect(scene.words.some((words) => words.includes('held back'))).toBe(false);
    scene.output.endWritten();
    expect(scene.words.at(-1)).toBe('1 stdout held back');
    scene.output.begin('2');
    scene.out.write('next');
    await turn();
    expect(scene.words.at(-1)).toBe('2 stdout next');
  });

  test('keeps the end of what was said on standard error, of the run it has', async () => {
    const scene = new Scene();
    scene.output.begin('1');
    scene.err.write('an old complaint');
    await turn();
    scene.output.end();
    scene.output.begin('2');
    scene.err.write('x'.repeat(20_000));
    scene.err.write('the last words');
    await turn();
    expect(scene.output.lastWords()).toMatch(/^x+the last words$/);
    expect(scene.output.lastWords()).toHaveLength(8 * 1024);
  });

  test('that is read before the end of the run before it was heard belongs to whoever has written it', async () => {
    for (const [end, whose] of [
      ['end', '2'],
      ['endWritten', '1'],
    ] as const) {
      const scene = new Scene();
      scene.output.begin('1');
      scene.catchUp = () => {
        scene.catchUp = () => {};
        scene.output[end]();
        scene.output.begin('2');
      };
      scene.out.write('whose');
      await turn();
      expect(scene.words).toEqual([`${whose} stdout whose`]);
    }
  });

  test('of a dead child is read to its end, or given up when somebody holds the pipe', async () => {
    const scene = new Scene();
    scene.output.begin('1');
    scene.out.end('the end');
    let giveUp = (): void => {};
    const drained = scene.output.drained((limit) => {
      giveUp = limit;
      return { cancel() {} };
    });
    await turn();
    expect(scene.words).toEqual(['1 stdout the end']);
    giveUp();
    await drained;
    expect(scene.err.destroyed).toBe(true);
  });
});

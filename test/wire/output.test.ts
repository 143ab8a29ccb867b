import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RawAgent } from './support/raw-agent.js';
import { Stage } from './support/stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.start();
});
afterAll(() => stage.close());

async function running(agentId: string): Promise<{ agent: RawAgent; taskId: string; token: string }> {
  const agent = await stage.greeted({ agentId, queue: agentId });
  const [taskId = ''] = await stage.api.submit({ queue: agentId });
  const { token } = await agent.start(taskId);
  return { agent, taskId, token };
}

/** Reads a task's output to the end of the stream. */
async function read(taskId: string, change: object = {}): Promise<string> {
  let text = '';
  for await (const piece of stage.api.stream('ReadTaskLogs', { taskId, ...change })) {
    text += String(piece.data);
  }
  return text;
}

async function write(agent: RawAgent, token: string, taskId: string, offset: number, text: string) {
  agent.stream.say({
    logChunk: { token, taskId, offset, data: Buffer.from(text), stream: 'LOG_STREAM_STDOUT' },
  });
  return agent.stream.next('logAck');
}

describe('task output is acknowledged by offset', () => {
  test('what is repeated is kept once, what overlaps only as far as it is new', async () => {
    const { agent, taskId, token } = await running('offsets');
    expect(await write(agent, token, taskId, 0, 'one ')).toEqual({
      token,
      nextOffset: '4',
      closed: false,
      resend: false,
    });
    expect(await write(agent, token, taskId, 0, 'one ')).toEqual({
      token,
      nextOffset: '4',
      closed: false,
      resend: false,
    });
    expect(await write(agent, token, taskId, 2, 'e two')).toEqual({
      token,
      nextOffset: '7',
      closed: false,
      resend: false,
    });
    expect(await read(taskId)).toBe('one two');
    expect(await read(taskId, { tailBytes: 3 })).toBe('two');
    expect(await read(taskId, { tryNumber: 2 })).toBe('');
  });

  test("a foreign token's output is not taken, and neither is an unknown one's", async () => {
    const { taskId, token } = await running('writer');
    const other = await stage.greeted({ agentId: 'scribbler' });
    expect(await write(other, token, taskId, 0, 'forged')).toMatchObject({
      token,
      closed: true,
      resend: false,
    });
    expect(await write(other, '999999', taskId, 0, 'forged')).toMatchObject({ closed: true, resend: false });
    expect(await write(other, '999999', '../../etc', 0, 'forged')).toMatchObject({
      closed: true,
      resend: false,
    });
    expect(await read(taskId)).toBe('');
  });

  test('an oversize chunk closes the output of its run, and the run goes on', async () => {
    const { agent, taskId, token } = await running('flood');
    const ack = await write(agent, token, taskId, 0, 'x'.repeat(64 * 1_024 + 1));
    expect(ack).toMatchObject({ nextOffset: '0', closed: true, resend: false });
    expect(await agent.report(token, { taskId })).toBe('REPORT_DISPOSITION_RECORDED');
  });

  test('output that is still on its way when the run ends is taken', async () => {
    const { agent, taskId, token } = await running('trailing');
    await agent.report(token, { taskId });
    expect(await write(agent, token, taskId, 0, 'late words')).toMatchObject({
      closed: false,
      resend: false,
    });
    expect(await read(taskId)).toBe('late words');
  });
});

describe('reading output', () => {
  test('with follow goes on until the task has ended, then ends', async () => {
    const { agent, taskId, token } = await running('followed');
    await write(agent, token, taskId, 0, 'first ');
    const following = read(taskId, { follow: true });
    await write(agent, token, taskId, 6, 'second');
    await agent.report(token, { taskId });
    expect(await following).toBe('first second');
  });

  test('of a task without output ends at once', async () => {
    const [taskId = ''] = await stage.api.submit({ queue: 'nobody' });
    expect(await read(taskId)).toBe('');
  });

  test('of a cancelled task with follow ends', async () => {
    const [taskId = ''] = await stage.api.submit({ queue: 'nobody' });
    const following = read(taskId, { follow: true });
    await stage.api.call('CancelTask', { taskId });
    expect(await following).toBe('');
  });
});

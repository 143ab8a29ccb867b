import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { storyOf, type Told } from '../../src/testing/sim/story.js';

const told: readonly Told[] = [
  { atMs: 1_000, text: 'agent-1 session 1 live', agentId: 'agent-1' },
  { atMs: 500_000, text: 'task-00001 submitted', taskId: 'task-00001' },
  {
    atMs: 500_100,
    text: 'task-00001 permitted try 1 token 7 agent-1',
    taskId: 'task-00001',
    agentId: 'agent-1',
  },
  { atMs: 500_200, text: 'agent-1 START task-00001 token 7', taskId: 'task-00001', agentId: 'agent-1' },
  { atMs: 500_300, text: 'agent-1 START task-00002 token 8', taskId: 'task-00002', agentId: 'agent-1' },
  { atMs: 501_000, text: 'fault partition' },
  { atMs: 501_001, text: 'agent-1 gate_closed', agentId: 'agent-1' },
  { atMs: 501_002, text: 'agent-9 gate_closed', agentId: 'agent-9' },
  {
    atMs: 516_000,
    text: 'task-00001 lost try 1 token 7 agent-1 (agent_lost)',
    taskId: 'task-00001',
    agentId: 'agent-1',
  },
  { atMs: 516_050, text: 'agent-2 START task-00001 token 9', taskId: 'task-00001', agentId: 'agent-2' },
  { atMs: 520_000, text: 'agent-2 END task-00001 token 9 code 0', taskId: 'task-00001', agentId: 'agent-2' },
];
const violation = {
  rule: 'K10',
  at: 516_050,
  what: 'token 9 of task-00001 was started on agent-2 while token 7 was alive on agent-1 (single_run)',
  taskId: 'task-00001',
  token: 9n,
  agentId: 'agent-2',
};

describe('the story of a broken promise', () => {
  test('tells all of its task, what befell its agents and the coordinator shortly before, and then the rule', () => {
    expect(`\n${storyOf(told, violation).join('\n')}\n`).toBe(`
   500.000  task-00001 submitted
   500.100  task-00001 permitted try 1 token 7 agent-1
   500.200  agent-1 START task-00001 token 7
   501.000  fault partition
   501.001  agent-1 gate_closed
   516.000  task-00001 lost try 1 token 7 agent-1 (agent_lost)
   516.050  agent-2 START task-00001 token 9
   516.050  BROKEN K10 of task-00001: token 9 of task-00001 was started on agent-2 while token 7 was alive on agent-1 (single_run)
`);
  });

  test('fits a screen, and says how much it leaves out', () => {
    const long = Array.from(
      { length: 100 },
      (_, i): Told => ({ atMs: i, text: `line ${i}`, taskId: 'task-00001' }),
    );
    const story = storyOf(long, { ...violation, at: 100 });
    expect(story).toHaveLength(42);
    expect(story[0]).toBe('… 60 earlier lines: see the trace');
  });

  test('is told by a seed that finds a rule switched off: here the hold of single_run', () => {
    const story = storyWithoutHold();
    const token = /^ *[\d.]+ {2}BROKEN K10 of (task-\d+): token (\d+)/.exec(story.at(-1) ?? '');
    const [, taskId, newer] = token ?? [];
    const starts = story.filter((line) => line.includes(` START ${taskId} `));
    expect(starts.at(-1)).toMatch(new RegExp(`agent-\\d+ START ${taskId} token ${newer}$`));
    expect(starts.length).toBeGreaterThan(1);
    expect(story.some((line) => line.includes(`${taskId} lost try`))).toBe(true);
  }, 120_000);
});

/** Seeds of a build in which single_run holds nothing back, one after the other until one of them tells of it. */
function storyWithoutHold(): string[] {
  const build = import.meta.resolve('../../scripts/mutants/build.mjs');
  const mutant = {
    name: 'single_run_not_held',
    file: 'src/core/failure.ts',
    find: "when: ({ task }) => task.partitionPolicy === 'single_run',",
    replace: 'when: () => false,',
  };
  const program = `
    import { Build } from ${JSON.stringify(build)};
    const build = new Build();
    try {
      build.mutate(${JSON.stringify(mutant)});
      const { simulate } = await import('file://' + build.folder + '/testing/sim/index.js');
      for (let seed = 1, story = []; seed <= 60 && story.length === 0; seed++) {
        ({ story } = await simulate({ seed, minutes: 8, trace: true }));
        if (story.some((line) => line.includes('BROKEN K10'))) console.log(JSON.stringify(story));
        else story = [];
      }
    } finally {
      build.remove();
    }`;
  const told = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  return JSON.parse(told) as string[];
}

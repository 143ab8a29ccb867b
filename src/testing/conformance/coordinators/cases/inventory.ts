import type { Nonce, Token } from '../../../../kit/ids.js';
import { ReportKind } from '../../../../wire/gen/holdfast/v1/agent_service.js';
import { TaskState } from '../../../../wire/gen/holdfast/v1/task_service.js';
import { check } from '../../case.js';
import type { CoordinatorCase } from '../case.js';
import { reportOf, runEntry } from '../fake-agent.js';

export const INVENTORY: readonly CoordinatorCase[] = [
  {
    id: 'inventory.hash',
    rule: 'stream 3',
    level: 'must',
    title:
      'a count or hash that differs is noticed: a full inventory is asked for, and until it is there nothing is permitted',
    play: async (scene) => {
      const agent = await scene.greeted();
      agent.silence();
      agent.showsAll = false;
      const taskId = await scene.submit();
      await agent.offered(taskId);
      const nonce = agent.nextNonce();
      const from = agent.stream.here();
      agent.say({ inventoryCount: 5, inventoryHash: 7, startRequests: [{ nonce, taskId }] });
      await agent.ack('a request for the full inventory', (ack) => ack.sendFullInventory || undefined, from);
      const early = agent.stream.all('ack', from).flatMap(({ permits }) => permits);
      check(
        early.length === 0,
        `token ${early[0]?.token} was permitted to an agent whose inventory is in doubt`,
      );
      await agent.acknowledged({ fullInventory: { entries: [], moreChunks: false } });
      agent.showsAll = true;
      agent.beat();
      agent.offers.clear();
      const { token } = await agent.start(taskId);
      return `full inventory asked for; token ${token} once it was in`;
    },
  },
  {
    id: 'inventory.chunked',
    rule: 'stream 2',
    level: 'must',
    title: 'a Hello in chunks is ruled on as a whole',
    play: async (scene) => {
      const agent = scene.agent();
      const base = 1_000_000_000_000n;
      const tokens = [1n, 2n, 3n, 4n, 5n].map((n) => base + n);
      agent.hello({ inventory: [runEntry(tokens[0] ?? base)], moreChunks: true });
      for (const [i, token] of tokens.slice(1).entries()) {
        const value = { entries: [runEntry(token)], reports: [], last: i === tokens.length - 2 };
        agent.stream.say({ $case: 'inventoryChunk', value });
      }
      const welcome = await agent.stream.expect('a Welcome', 'welcome', (value) => value);
      const ruled = welcome.verdicts.map(({ token }) => token).sort((a, b) => (a < b ? -1 : 1));
      check(ruled.join() === tokens.join(), `${ruled.length} verdicts on ${tokens.length} entries`);
      return `${ruled.length} entries in ${tokens.length} messages, all ruled on`;
    },
  },
  {
    id: 'inventory.vanished',
    rule: 'P13',
    level: 'must',
    title: 'a run that was shown and is missing later without a report is lost at once',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      await agent.acknowledged();
      await agent.acknowledged();
      agent.redial();
      agent.held.dropToken(token as Token);
      // The Hello is enough: no full inventory comes to its help.
      agent.showsAll = false;
      agent.offers.clear();
      await agent.greet();
      const next = await agent.start(taskId);
      check(next.token > token, `token ${next.token} after ${token}`);
      return `lost with its Hello; token ${next.token} after ${token}`;
    },
  },
  {
    id: 'inventory.void-token',
    rule: 'P13',
    level: 'must',
    title:
      'a permit that the agent does not show is asked after with void token, and given up when the agent says never started',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      await agent.offered(taskId);
      // It hears the permit and loses it: neither the request nor the run is in what it holds.
      agent.takesIn = false;
      const nonce = agent.nextNonce();
      agent.request(taskId, nonce);
      const { permit } = await agent.answered(nonce);
      check(permit !== null, 'an offered task was refused');
      const { token } = permit;
      agent.held.dropNonce(nonce as Nonce);
      const within = 6 * agent.heartbeatMs + scene.patienceMs;
      const from = await agent.stream.expect(
        `void token ${token}`,
        'ack',
        ({ voidTokens }) => (voidTokens.includes(token) ? agent.stream.here() : undefined),
        { within },
      );
      // Answered at once: silence on it would end the stream.
      const report = reportOf(token, { taskId, kind: ReportKind.NEVER_STARTED });
      agent.show(token, 'void', taskId);
      agent.takesIn = true;
      agent.offers.clear();
      agent.say({ reports: [report] });
      await agent.disposition(token, from);
      const next = await agent.start(taskId);
      check(
        next.token > token && next.tryNumber === 1,
        `token ${next.token}, try ${next.tryNumber} after ${token}`,
      );
      return `void token ${token}, then token ${next.token} for the same try`;
    },
  },
  {
    id: 'inventory.no-timeout',
    rule: 'P13',
    level: 'must',
    title: 'a run that is shown is never ended by time alone, however long it takes',
    play: async (scene) => {
      const agent = await scene.greeted();
      const taskId = await scene.submit();
      const { token } = await agent.start(taskId);
      await scene.pass(1.5 * agent.leaseMs);
      const { state, fencingToken, lost } = await scene.task(taskId);
      check(
        state === TaskState.RUNNING && fencingToken === token && lost === undefined,
        `after ${1.5 * agent.leaseMs} ms of heartbeats the task is in state ${state}${lost ? ', lost' : ''}`,
      );
      return `still token ${token} after 1.5 L`;
    },
  },
];

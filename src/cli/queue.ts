import { type Command, InvalidArgumentError } from 'commander';
import type { Queue } from '../client/index.js';
import type { Presentation } from './present.js';
import { clientAction, type Session, verb } from './session.js';
import { renderTable } from './table.js';
import type { CliContext } from './terminal.js';

/** `holdfast queue …` */
export function addQueue(program: Command, context: CliContext): void {
  const noun = program.command('queue').description('see the queues, and limit what runs of them');
  clientAction(context, verb(noun, 'list', 'every queue in use'), async (session) => {
    await session.show(queueListView(await session.client.queues.list(session.call), session));
  });
  const limit = verb(noun, 'limit', 'how many tasks of a queue run at once; what runs already goes on')
    .argument('<NAME>', 'queue')
    .argument('<N>', 'tasks at once, 0 for none, or "none" for no limit', limitOf);
  clientAction(context, limit, async (session, [name = '', count = '']) => {
    const queue = await session.client.queues.limit(name, limitOf(count), session.call);
    await session.show({ ...queueListView([queue], session), data: queueShape(queue) });
  });
}

function limitOf(text: string | number | undefined): number | undefined {
  if (text === 'none' || text === undefined) return undefined;
  const count = /^\d+$/.test(String(text)) ? Number(text) : Number.NaN;
  if (count <= 1_000_000) return count;
  throw new InvalidArgumentError('It must be a whole number from 0 to 1000000, or none.');
}

const queueShape = (queue: Queue) => ({ ...queue, runLimit: queue.runLimit ?? null });

function queueListView(queues: readonly Queue[], { colours, terminal }: Session): Presentation {
  return {
    data: queues.map(queueShape),
    names: queues.map(({ name }) => name),
    table: () =>
      renderTable(
        ['QUEUE', 'RUNNING', 'LIMIT', 'WAITING', 'AGENTS'],
        queues.map(({ name, running, runLimit, waiting, agents }) => [
          name,
          String(running),
          runLimit === undefined ? '-' : String(runLimit),
          String(waiting),
          String(agents),
        ]),
        colours,
        terminal.out.columns,
      ),
  };
}

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Site } from './site.js';

const SDK = resolve(import.meta.dirname, '../../../dist/agent/index.js');
const HANDLERS = `
import { defineHandlers } from ${JSON.stringify(SDK)};
export default defineHandlers({
  defers: ({ trigger, state, timeout }, ctx) => {
    if (ctx.resumed === null) ctx.defer({ trigger, state, timeout });
    return { ...ctx.resumed, tryNumber: ctx.tryNumber };
  },
  skips: (_, ctx) => ctx.skip('nothing to do'),
});
`;
/** A trigger that leaves traces while it waits for a file; no trigger should, and so a test can see when it is alive. */
const TRIGGERS = `
import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { defineTriggers, trigger } from ${JSON.stringify(SDK)};
const traces = trigger({ name: 'traces', async *run({ input }) {
  for (;;) {
    appendFileSync(input.file, process.pid + ' ' + Date.now() + '\\n');
    if (existsSync(input.go)) yield { pid: process.pid };
    await pause(20);
  }
} });
const blocks = trigger({ name: 'blocks', run: async ({ input }) => { await pause(input.ms); for (;;); } });
const throws = trigger({ name: 'throws', run: async () => { await pause(10); throw new Error('no such queue'); } });
const escapes = trigger({ name: 'escapes', run: () => new Promise(() => setTimeout(() => { throw new Error('too late'); }, 10)) });
const exits = trigger({ name: 'exits', run: async () => { await pause(10); process.exit(7); } });
const hoards = trigger({ name: 'hoards', run: async () => { const held = []; for (;;) { held.push(new Array(1_000_000).fill(held.length)); if (held.length % 5 === 0) await pause(1); } } });
const large = trigger({ name: 'large', run: async () => 'x'.repeat(70000) });
const exists = trigger({ name: 'exists', run: async ({ input }) => { while (!existsSync(input.go)) await pause(500); } });
export default defineTriggers([traces, blocks, throws, escapes, exits, large, hoards, exists]);
`;

/** A site with a worker whose handlers defer, and triggers for who wants them. */
export async function deferringSite(heartbeat = '500ms', slots = 4): Promise<Site> {
  const site = await Site.start('--heartbeat-interval', heartbeat);
  writeFileSync(site.path('handlers.mjs'), HANDLERS);
  writeFileSync(site.path('triggers.mjs'), TRIGGERS);
  await site.connected('w', { slots, flags: ['--handlers', site.path('handlers.mjs')] });
  return site;
}

/** The flags of a triggerer with the triggers above. */
export const custom = (site: Site): string[] => ['--triggers', site.path('triggers.mjs')];

/** Submits tasks whose handler defers to a trigger. */
export function submitDeferring(
  site: Site,
  count: number,
  input: object,
  change: object = {},
): Promise<string[]> {
  const given = { input: Buffer.from(JSON.stringify(input)), inputType: 'application/json' };
  const work = { handler: { name: 'defers', ...given } };
  return site.api.submit(...Array.from({ length: count }, () => ({ work, ...change })));
}

/** Submits one: `more` may say state and timeout, `change` more of the task. */
export async function defer(
  site: Site,
  kind: string,
  input: object,
  more: object = {},
  change: object = {},
): Promise<string> {
  const [taskId = ''] = await submitDeferring(site, 1, { trigger: { kind, input }, ...more }, change);
  return taskId;
}

/** What the task gave in the end, read. */
export const resultOf = async (site: Site, taskId: string): Promise<unknown> =>
  JSON.parse((await site.reaches(taskId, 'SUCCESS')).result.toString());

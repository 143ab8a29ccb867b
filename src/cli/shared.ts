import type { Command } from 'commander';
import { flag, jsonFlag, jsonObjectFlag, shortText, wholeNumber } from './flags.js';
import { addLimit, showList, viewOf } from './listing.js';
import { clientAction, verb } from './session.js';
import {
  assetEventListView,
  assetEventView,
  assetListView,
  bundleListView,
  poolListView,
  poolView,
  triggerListView,
  triggerShape,
} from './shared-views.js';
import type { CliContext } from './terminal.js';

/** `holdfast asset …` */
export function addAsset(program: Command, context: CliContext): void {
  const noun = program.command('asset').description('see assets, and tell of what happened to them');
  addEmit(noun, context);
  const list = verb(noun, 'list', 'the assets that DAGs name');
  addLimit(list);
  clientAction<{ limit?: number }>(context, list, async (session, _args, { limit }) => {
    await showList(
      session,
      limit,
      (choices) => session.client.assets.list(choices),
      (assets) => assetListView(assets, viewOf(session)),
    );
  });
  const events = verb(noun, 'events', 'what happened to an asset, or to all, newest first');
  events.argument('[ASSET]', 'name of the asset');
  addLimit(events);
  clientAction<{ limit?: number }>(context, events, async (session, [asset], { limit }) => {
    await showList(
      session,
      limit,
      (choices) => session.client.assets.events(asset, choices),
      (some) => assetEventListView(some, viewOf(session)),
    );
  });
}

function addEmit(noun: Command, context: CliContext): void {
  const command = verb(noun, 'emit', 'say that something happened to an asset outside of every run');
  command.argument('<ASSET>', 'name of the asset');
  flag(command, '--extra <JSON>', 'an object about it, for people and templates', {
    parse: jsonObjectFlag,
    variable: 'HOLDFAST_EMIT_EXTRA',
  });
  type Flags = { extra?: Record<string, unknown> };
  clientAction<Flags>(context, command, async (session, [asset = ''], { extra }) => {
    const event = await session.client.assets.emit(asset, extra, session.call);
    await session.show(assetEventView(event, viewOf(session)));
  });
}

/** `holdfast pool …` */
export function addPool(program: Command, context: CliContext): void {
  const noun = program
    .command('pool')
    .description('see the pools that task instances share, and set their slots');
  const remove = verb(noun, 'delete', 'remove a pool; what waits in it goes on waiting').argument(
    '<POOL>',
    'name of it',
  );
  clientAction(context, remove, async (session, [name = '']) => {
    await session.client.pools.remove(name, session.call);
    await session.show({
      data: { pool: name, removed: true },
      names: [name],
      table: () => (name === 'default_pool' ? `${name}  unlimited again\n` : `${name}  removed\n`),
    });
  });
  clientAction(context, verb(noun, 'list', 'every pool that was set or is used'), async (session) => {
    await session.show(poolListView(await session.client.pools.list(session.call), viewOf(session)));
  });
  const slots = wholeNumber(0, 1_000_000);
  const set = verb(noun, 'set', 'make a pool, or change its slots; what runs already goes on')
    .argument('<POOL>', 'name of the pool')
    .argument('<SLOTS>', 'slots, 0 to stop everything in it', slots);
  flag(set, '--description <TEXT>', 'for people', {
    parse: shortText(1_024),
    variable: 'HOLDFAST_POOL_DESCRIPTION',
  });
  clientAction<{ description?: string }>(context, set, async (session, [name = '', count = ''], flags) => {
    const wanted = slots(count, undefined) as number;
    const pool = await session.client.pools.set(name, wanted, flags.description, session.call);
    await session.show(poolView(pool, viewOf(session)));
  });
}

/** `holdfast trigger …` */
export function addTrigger(program: Command, context: CliContext): void {
  const noun = program.command('trigger').description('see what deferred tasks wait for, and let them go on');
  const list = verb(noun, 'list', 'the triggers of deferred tasks');
  addLimit(list);
  flag(list, '--kind <KIND>', 'only of this kind', { variable: 'HOLDFAST_LIST_TRIGGER_KIND' });
  flag(list, '--unassigned', 'only those that wait for a triggerer', {
    variable: 'HOLDFAST_LIST_UNASSIGNED',
  });
  addFire(noun, context);
  type Flags = { limit?: number; kind?: string; unassigned?: boolean };
  clientAction<Flags>(context, list, async (session, _args, { limit, kind, unassigned }) => {
    await showList(
      session,
      limit,
      (choices) => session.client.triggers.list({ kind, unassigned }, choices),
      (triggers) => triggerListView(triggers, viewOf(session)),
    );
  });
}

function addFire(noun: Command, context: CliContext): void {
  const command = verb(noun, 'fire', 'give a trigger its event by hand: its task goes on');
  command.argument('<ID>', 'trigger id');
  flag(command, '--payload <JSON>', 'what the event carries (default: null)', {
    parse: jsonFlag,
    variable: 'HOLDFAST_FIRE_PAYLOAD',
  });
  clientAction<{ payload?: unknown }>(context, command, async (session, [id = ''], { payload }) => {
    const trigger = await session.client.triggers.fire(id, payload, session.call);
    const view = triggerListView([trigger], viewOf(session));
    await session.show({ ...view, data: triggerShape(trigger), table: () => `${id}  fired\n` });
  });
}

/** `holdfast bundle …` */
export function addBundle(program: Command, context: CliContext): void {
  const noun = program.command('bundle').description('see the bundles of DAG files');
  clientAction(
    context,
    verb(noun, 'list', 'bundles, who reads them, and since when nobody does'),
    async (session) => {
      await session.show(bundleListView(await session.client.dags.bundles(session.call), viewOf(session)));
    },
  );
}

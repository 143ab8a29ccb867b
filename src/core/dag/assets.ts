import type { Draft } from '../draft.js';
import type { Answer, DagCallOf } from './calls.js';
import type { DagDefinition } from './definition.js';
import { assetsOf } from './state.js';

/** Bytes of what an event from outside may carry, as JSON text. */
export const EXTRA_BYTES = 64 * 1024;

/** Something happened to an asset outside of every run. */
export function emitAsset(draft: Draft, { asset, extra }: DagCallOf<'emit_asset'>): Answer {
  if (draft.dags.asset(asset) === undefined) {
    return {
      code: 'ASSET_NOT_FOUND',
      what: `no asset ${asset}`,
      because: 'no DAG names it, so nobody would ever hear of the event',
      try: 'use `asset list` to see the assets',
    };
  }
  const bytes = new TextEncoder().encode(extra).length;
  if (bytes > EXTRA_BYTES) {
    return {
      code: 'EXTRA_TOO_LARGE',
      what: `the event of asset ${asset} carries ${bytes} bytes`,
      because: `an event may carry at most ${EXTRA_BYTES}`,
      try: 'carry the place of the data, not the data',
    };
  }
  return { kind: 'asset_event', event: draft.dags.emit(asset, null, extra, draft.ctx.wall) };
}

/** Every asset that a definition names has a row from then on: those of a DAG that comes into force. */
export function nameAssets(draft: Draft, definition: DagDefinition): void {
  const named = definition.tasks.flatMap(({ inlets, outlets }) => [...inlets, ...outlets]);
  for (const asset of new Set([...assetsOf(definition), ...named])) {
    if (draft.dags.asset(asset) !== undefined) continue;
    draft.dags.putAsset({ asset, version: 0, lastEvent: 0, lastEventAt: null });
  }
}

import type { BackfillInstant } from '../core/dag/calls.js';
import type {
  CreateBackfillRequest,
  CreateBackfillResponse,
  ListBackfillsRequest,
  ListBackfillsResponse,
  SteerBackfillRequest,
  SteerBackfillResponse,
  BackfillInstant as WireInstant,
} from '../wire/gen/holdfast/v1/dag_service.js';
import { backfillSteerings, backfillSteps, reprocessPolicies, runStates } from '../wire/names.js';
import { type DagServiceHost, decided, findDag } from './dag-host.js';
import { instantOf, jsonObjectOf, runIdOf } from './dag-requests.js';
import { backfillOf } from './dag-views.js';
import { Fault } from './fault.js';
import { cut, placeOf, placeToken, sizeOf } from './paging.js';
import { dateOf } from './views.js';

const RUNS = 10;
const RUNS_LIMIT = 1_000;

export async function createBackfill(
  host: DagServiceHost,
  request: CreateBackfillRequest,
): Promise<CreateBackfillResponse> {
  const reply = await decided(host, 'backfill', {
    action: 'backfill',
    dagId: findDag(host, request.dagId).dagId,
    backfill: request.backfillId === '' ? '' : runIdOf(request.backfillId, 'backfill_id'),
    ...rangeOf(request),
    params: jsonObjectOf('params', request.params, 'INVALID_PARAMS'),
    maxActiveRuns: mostOf(request.maxActiveRuns),
    reprocess: reprocessOf(request.reprocess),
    dryRun: request.dryRun,
  });
  return { backfill: backfillOf(reply.backfill), instants: reply.instants.map(instantView) };
}

function rangeOf({ from, to }: CreateBackfillRequest) {
  if (from === undefined || to === undefined) {
    const because = 'a backfill is over a range of instants';
    throw new Fault('INVALID_REQUEST', 'from or to is missing', because, 'give both');
  }
  const range = { from: instantOf('from', from), to: instantOf('to', to) };
  if (range.from <= range.to) return range;
  throw new Fault('INVALID_REQUEST', 'from is after to', 'the range is empty', 'exchange them');
}

function mostOf(runs: number): number {
  if (runs <= RUNS_LIMIT) return runs === 0 ? RUNS : runs;
  const because = `it must lie between 1 and ${RUNS_LIMIT}`;
  throw new Fault('INVALID_REQUEST', `max_active_runs is ${runs}`, because, 'correct it');
}

function reprocessOf(reprocess: number) {
  const policy = reprocess === 0 ? 'none' : reprocessPolicies.from(reprocess);
  if (policy !== undefined) return policy;
  const because = 'this coordinator does not know it';
  throw new Fault('INVALID_REQUEST', `reprocess policy ${reprocess} is unknown`, because, 'leave it out');
}

const instantView = ({ logicalDate, then, run }: BackfillInstant): WireInstant => ({
  logicalDate: dateOf(logicalDate),
  step: backfillSteps.to(then),
  runId: run?.runId ?? '',
  runState: run === null ? 0 : runStates.to(run.state),
});

export async function steerBackfill(
  host: DagServiceHost,
  { backfillId, steering }: SteerBackfillRequest,
): Promise<SteerBackfillResponse> {
  const to = backfillSteerings.from(steering);
  if (to === undefined) {
    const because = 'it is unspecified or unknown';
    throw new Fault('INVALID_REQUEST', 'no steering', because, 'say RESUME, PAUSE or CANCEL');
  }
  const backfill = runIdOf(backfillId, 'backfill_id');
  const reply = await decided(host, 'backfill', { action: 'steer_backfill', backfill, to });
  return { backfill: backfillOf(reply.backfill) };
}

export async function listBackfills(
  { store }: DagServiceHost,
  request: ListBackfillsRequest,
): Promise<ListBackfillsResponse> {
  const place = placeOf(request.pageToken);
  const before = place && { createdAt: place.createdAt, backfill: place.name };
  const size = sizeOf(request);
  const rows = await store.listBackfills(request.dagId === '' ? null : request.dagId, before, size + 1);
  const { page, nextPageToken } = cut(rows, (row) => placeToken(row.createdAt, row.backfill), size);
  return { backfills: page.map(backfillOf), nextPageToken };
}

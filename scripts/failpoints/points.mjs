// The twelve steps of the handshake, where in the program each is taken, and what goes through there.
//
// `of` is what kind of step it is: that decides which faults it can meet (cells.mjs). The rest is source text, put into the
// instrumented copy as it stands: `items` is the list that the step is about (not hit while it is empty), `agentId` whose
// step it is (in an agent: its own), `lose` and `loseAfter` what a drop is where it is not a message's.
// `settleMs`: how long after the call the step is really done, because bytes leave with a later turn of the event loop.

const SEND_SETTLES_MS = 8;
/** Three programs become each other before the command's own runs. */
const EXEC_SETTLES_MS = 150;

const ack = { file: 'server/stream.js', of: 'message', agentId: 'this.#agentId', settleMs: SEND_SETTLES_MS };
const receipt = { file: 'agent/link.js', of: 'message' };
const heartbeat = { file: 'agent/loop.js', of: 'message', settleMs: SEND_SETTLES_MS };
const commit = {
  file: 'engine/engine.js',
  of: 'commit',
  agentId: 'items[0].agentId',
  lose: `throw new StoreError('busy', 'failpoint: another program holds the file')`,
  loseAfter: `throw new Error('failpoint: the outcome of the commit is unknown')`,
};
const beatOf = (list) => `effect.message.kind === 'heartbeat' ? effect.message.beat.${list} : null`;
const rowsOf = (...events) => `puts.history.filter((row) => ${JSON.stringify(events)}.includes(row.event))`;

export const POINTS = [
  {
    name: 'FP1',
    step: 'offer decided',
    file: 'core/placement.js',
    of: 'decision',
    items: '[presence]',
    agentId: 'presence.agentId',
  },
  { name: 'FP2', step: 'offer sent', ...ack, items: 'frame.ack.offers' },
  { name: 'FP3', step: 'agent receives', ...receipt, items: 'ack.offers' },
  { name: 'FP4', step: 'start request sent', ...heartbeat, items: beatOf('startRequests') },
  { name: 'FP5', step: 'permit committed', ...commit, items: rowsOf('permitted') },
  { name: 'FP6', step: 'permit sent', ...ack, items: 'frame.ack.permits' },
  { name: 'FP7', step: 'permit received', ...receipt, items: 'ack.permits' },
  {
    name: 'FP8',
    step: 'journal',
    file: 'agent/command.js',
    of: 'write',
    items: 'starts.map(({ token }) => token)',
    lose: `this.#host.journal.startRuns = () => {
      delete this.#host.journal.startRuns;
      return { count: 0, refusal: { kind: 'refused', code: 'io', text: 'failpoint: no space' } };
    }`,
  },
  {
    name: 'FP9',
    step: 'exec',
    file: 'agent/runner/run.js',
    of: 'exec',
    items: '[this.spec]',
    agentId: 'this.spec.env.HOLDFAST_AGENT_ID',
    lose: 'this.killNow()',
    loseAfter: 'this.killNow()',
    settleMs: EXEC_SETTLES_MS,
  },
  { name: 'FP10', step: 'report sent', ...heartbeat, items: beatOf('reports') },
  { name: 'FP11', step: 'report committed', ...commit, items: rowsOf('success', 'failed', 'try_failed') },
  { name: 'FP12', step: 'report acknowledged', ...receipt, items: 'ack.acknowledgements' },
];

export const SIDES = ['before', 'after'];

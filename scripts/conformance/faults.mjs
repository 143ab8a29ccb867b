// What is wrong with a plain agent, and the case that must notice it: each case can fail.

/** @type {Readonly<Record<string, Readonly<Record<string, string>>>>} By kind: case → fault. */
export const FAULTS = {
  triggerer: {
    'trigger.start': 'wrong-token',
    'trigger.told-twice': 'start-again',
    'trigger.superseded': 'keep-older',
    'trigger.parts': 'parts-at-once',
    'trigger.many': 'few',
    'trigger.stream-reset': 'outlive-stream',
    'trigger.stream-ended': 'outlive-stream',
    'trigger.connection-cut': 'outlive-stream',
    'trigger.gate-closed': 'no-gate',
    'trigger.half-open': 'no-gate',
    'trigger.paused': 'no-gate',
    'trigger.stopped': 'ignore-stop',
    'trigger.new-session': 'any-epoch',
    'event.repeated': 'say-once',
    'event.reconnect': 'run-again',
    'event.new-session': 'forget-on-session',
    'event.refused': 'repeat-refused',
    'event.unknown-kind': 'ignore-unknown',
    'event.invalid-input': 'ignore-input',
    'event.no-json': 'ignore-input',
    'event.payload-limit': 'no-limit',
    'event.delay': 'from-start',
  },
  'dag-processor': {
    'snapshot.complete': 'bad-digest',
    'snapshot.chunks': 'one-chunk',
    'snapshot.go-back': 'never-back',
    'snapshot.changed': 'same-sequence',
    'snapshot.import-error': 'hide-errors',
    'snapshot.refused': 'send-refused',
    'hold.standby': 'send-unasked',
    'hold.in-force': 'always-send',
    'hold.reconnect': 'no-watch',
    'hold.cut-upload': 'go-on',
    'hold.lost': 'ignore-not-held',
    'hold.new-session': 'keep-hold',
  },
};

/** Programs of this folder, by kind. */
export const PLAIN = { triggerer: 'plain-triggerer.mjs', 'dag-processor': 'plain-processor.mjs' };

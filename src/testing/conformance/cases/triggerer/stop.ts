import { status } from '@grpc/grpc-js';
import { Beacon } from '../../beacon.js';
import { type Case, check } from '../../case.js';
import { pause } from '../../clock.js';
import type { Stage } from '../../stage.js';
import type { Stream } from '../../stream.js';

/** In parts of H: what is under way when the word comes is let go. */
const GRACE = 0.5;

/** A stream is lost in one way or another: no trigger goes on, and the next stream has to name those that are valid. */
function lossCase(id: string, how: string, lose: (stage: Stage, stream: Stream) => void): Case {
  return {
    id,
    rule: 'I8, P16',
    level: 'must',
    kinds: ['triggerer'],
    title: `all triggers stop at once when the stream ${how}, and run again only on the coordinator's word`,
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const first = await stage.session();
        const start = await beacon.run(first, 'a');
        await beacon.run(first, 'b');
        lose(stage, first);
        await pause(GRACE * stage.terms.heartbeatMs);
        const lost = 'the stream that told of it is gone';
        let second = first;
        await beacon.silent('a', lost, async () => {
          second = await stage.resumed(first);
          await stage.talk(second, 3);
        });
        second.push({ triggerStarts: [start] });
        await beacon.asked('a');
        await beacon.silent('b', 'the new stream has not named it', () => stage.talk(second, 2));
        return 'silent over the loss and after the Welcome; the one that was named runs again, the other does not';
      }),
  };
}

export const STOP: readonly Case[] = [
  lossCase('trigger.stream-reset', 'is reset', (_, stream) => stream.reset(status.UNAVAILABLE)),
  lossCase('trigger.stream-ended', 'ends with Reconnect', (_, stream) => stream.reconnect(100)),
  lossCase('trigger.connection-cut', 'breaks off', (stage) => stage.network.cut()),
  {
    id: 'trigger.gate-closed',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'no trigger goes on behind a closed gate; they go on once it is open again',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        await beacon.run(stream, 'a');
        await stage.closeGate(stream);
        await beacon.silent('a', 'the gate is closed', () => stage.talk(stream, 2));
        stream.acks = 'prompt';
        stream.push({});
        await beacon.asked('a');
        return 'silent behind the closed gate, asking again when it was open';
      }),
  },
  {
    id: 'trigger.half-open',
    rule: 'P4, P16',
    level: 'must',
    kinds: ['triggerer'],
    title:
      'triggers stop at the end of the gate when the coordinator is not heard, with nobody telling of a loss',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        await beacon.run(stream, 'a');
        stage.network.hold('up', 'down');
        await stage.intervals(stage.terms.gateMs / stage.terms.heartbeatMs + 0.2);
        await beacon.silent('a', 'the gate has closed', () => stage.intervals(2));
        return 'silent from the end of the gate on';
      }),
  },
  {
    id: 'trigger.paused',
    rule: 'P2, P16',
    level: 'must',
    kinds: ['triggerer'],
    title:
      'a process that was stopped over the end of its gate does nothing for its triggers when it goes on',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        await beacon.run(stream, 'a');
        stream.acks = 'withheld';
        stage.agent.signal('SIGSTOP');
        await pause(GRACE * stage.terms.heartbeatMs);
        await beacon.silent('a', 'the gate closed while its process was stopped', async () => {
          await stage.talk(stream, stage.terms.gateMs / stage.terms.heartbeatMs);
          stage.agent.signal('SIGCONT');
          await stage.talk(stream, 2);
        });
        return 'silent while it was stopped, and after';
      }),
  },
  {
    id: 'trigger.stopped',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title:
      'a trigger that is told to stop does nothing more, and has no event, even if what it waits for comes',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const stream = await stage.session();
        await beacon.run(stream, 'a');
        await beacon.run(stream, 'b');
        await stream.applied(stream.push({ triggerStops: ['a'] }));
        await pause(GRACE * stage.terms.heartbeatMs);
        beacon.light('a');
        await beacon.silent('a', 'it was told to stop', () => stage.intervals(3));
        check(beacon.asks('b') > 0, 'the other trigger has stopped as well');
        const events = stream.find((message) =>
          message.$case === 'heartbeat' && message.value.triggerEvents.length > 0 ? message : undefined,
        );
        check(events === undefined, 'the trigger that was told to stop has an event');
        await beacon.asked('b');
        return 'silent after the stop, no event; the other one went on';
      }),
  },
  {
    id: 'trigger.new-session',
    rule: 'P16',
    level: 'must',
    kinds: ['triggerer'],
    title: 'in a new session no trigger of the one before runs',
    play: (stage) =>
      Beacon.with(stage, async (beacon) => {
        const first = await stage.session();
        const start = await beacon.run(first, 'a');
        first.reset(status.UNAVAILABLE);
        const second = await stage.accept();
        second.welcome(stage.nextEpoch());
        await second.heartbeat({ from: 0 });
        await beacon.silent('a', 'its session is over', async () => {
          second.push({ triggerStarts: [start] });
          await stage.talk(second, 3);
        });
        await beacon.run(second, 'b');
        return 'the start that names the old epoch was ignored, the one of the new session runs';
      }),
  },
];

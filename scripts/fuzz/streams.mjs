// Agents that say anything: real gRPC streams, bent messages.
import { Client, credentials } from '@grpc/grpc-js';
import { bend, heartbeat, hello, other } from './messages.mjs';

const PATH = '/holdfast.v1.AgentService/Connect';
/** A stream that takes nothing for so long is given up. */
const DEAF_MS = 1_000;
const same = (bytes) => bytes;
/** What the agents of the lanes are. */
const LANES = ['worker', 'worker', 'triggerer', 'dagProcessor'];

/** Keeps `width` streams open until `budget.left` messages were sent. */
export async function fuzzStreams(address, chance, budget, width, taskIds) {
  const client = new Client(address, credentials.createInsecure(), { 'grpc.enable_retries': 0 });
  await Promise.all(Array.from({ length: width }, (_, i) => lane(client, chance, budget, i, taskIds)));
  client.close();
}

/** One agent name after the other stream: each ends sooner or later, by us or by the coordinator. */
async function lane(client, chance, budget, number, taskIds) {
  for (let streamNo = 1; budget.left > 0; streamNo++) {
    // A new instance now and then, so that sessions are replaced, refused and failed as well.
    const instance = `fuzz-instance-${number}-${Math.floor(streamNo / 500)}-0000`;
    const kind = LANES[number % LANES.length];
    await stream(client, chance, budget, { agentId: `fuzz-${number}`, instance, streamNo, taskIds, kind });
  }
}

function stream(client, chance, budget, { agentId, instance, streamNo, taskIds, kind }) {
  return new Promise((resolve) => {
    const call = client.makeBidiStreamRequest(PATH, same, same);
    let over = false;
    let open = false;
    let seq = 1;
    let deaf;
    const end = () => {
      if (over) return;
      over = true;
      clearTimeout(deaf);
      call.cancel();
      resolve(undefined);
    };
    call.on('error', end);
    call.on('end', end);
    call.on('data', () => {
      if (!open) {
        open = true;
        say();
      }
    });
    const first = hello(agentId, instance, streamNo, kind);
    const say = () => {
      let flows = true;
      while (flows && !over) {
        if (budget.left <= 0 || chance.is(0.01)) return end();
        budget.left--;
        // A DAG processor has hardly anything to say in its heartbeats.
        const beats = chance.is(kind === 'dagProcessor' ? 0.3 : 0.85);
        const valid = beats ? heartbeat(chance, ++seq, taskIds) : other(chance, taskIds, kind);
        flows = call.write(chance.is(0.03) ? bend(chance, valid, first) : valid);
      }
      // What only waits in our own memory has tested nobody. A coordinator that reads no more is left, as agents do.
      clearTimeout(deaf);
      deaf = setTimeout(end, DEAF_MS);
    };
    call.on('drain', say);
    budget.left--;
    if (chance.is(0.1)) {
      call.write(bend(chance, first, heartbeat(chance, 2, taskIds)));
      setTimeout(end, 50);
    } else call.write(first);
  });
}

import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { afterEach, describe, expect, test } from '@jest/globals';
import { realClock } from '../../src/agent/clock.js';
import type { AgentEvent } from '../../src/agent/core/events.js';
import { Link } from '../../src/agent/link.js';
import {
  AgentServiceService,
  type ConnectRequest,
  type ConnectResponse,
} from '../../src/wire/gen/holdfast/v1/agent_service.js';

type Call = ServerDuplexStream<ConnectRequest, ConnectResponse>;

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

/** A coordinator that takes streams, and nothing else. */
class Place {
  readonly #server = new Server();
  readonly #calls: Call[] = [];
  readonly #waiting: ((call: Call) => void)[] = [];
  address = '';

  static async open(): Promise<Place> {
    const place = new Place();
    place.#server.addService(AgentServiceService, {
      connect: (call: Call) => {
        // Headers make the stream open on the other side.
        call.on('data', () => {});
        call.on('error', () => {});
        const next = place.#waiting.shift();
        if (next === undefined) place.#calls.push(call);
        else next(call);
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      place.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    place.address = `127.0.0.1:${port}`;
    open.push(place);
    return place;
  }

  call(): Promise<Call> {
    const call = this.#calls.shift();
    return call === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(call);
  }

  close(): void {
    this.#server.forceShutdown();
  }
}

/** A link that dials anew whenever its stream is over, as the session would have it. */
function linkTo(address: string): Link {
  let streamNo = 1n;
  const link = new Link(address, realClock, {
    happened: ({ kind }: AgentEvent) => {
      if (kind === 'reconnect' || kind === 'stream_lost') link.dial(++streamNo, 0);
    },
    logAcknowledged: () => {},
    bundleTold: () => {},
  });
  open.push({ close: () => link.hangUp() });
  link.dial(streamNo, 0);
  return link;
}

const reconnect = (addresses: string[]): ConnectResponse => ({
  message: { $case: 'reconnect', value: { reason: 'moved', delay: undefined, addresses } },
});

describe('a coordinator that sends its agents elsewhere', () => {
  test('is left for the first address that it names', async () => {
    const [given, named] = [await Place.open(), await Place.open()];
    linkTo(given.address);
    (await given.call()).write(reconnect([named.address]));
    await expect(named.call()).resolves.toBeDefined();
  });

  test('is dialled again once every address that it named has been tried', async () => {
    const [given, dead, named] = [await Place.open(), await Place.open(), await Place.open()];
    dead.close();
    linkTo(given.address);
    (await given.call()).write(reconnect([dead.address, named.address]));
    (await named.call()).end();
    await expect(given.call()).resolves.toBeDefined();
  });

  test('is listened to no more once another one has named addresses', async () => {
    const [given, one, other] = [await Place.open(), await Place.open(), await Place.open()];
    linkTo(given.address);
    (await given.call()).write(reconnect([one.address, given.address]));
    (await one.call()).write(reconnect([other.address]));
    await expect(other.call()).resolves.toBeDefined();
  });
});

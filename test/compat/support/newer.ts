import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Client, credentials, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { loadSync, type MessageTypeDefinition, type ServiceDefinition } from '@grpc/proto-loader';

type Fields = Record<string, unknown>;
type Codec = MessageTypeDefinition<object, object>;

/** An enum value that no release knows. */
const NEWER = 999;
const asBytes = (value: Buffer): Buffer => value;

/** The protos of a release that is still to come: a new field in every message, a new value in every enum, new arms. */
function newerProtos(): string {
  const from = resolve(import.meta.dirname, '../../../proto/holdfast/v1');
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-newer-'));
  mkdirSync(join(folder, 'holdfast/v1'), { recursive: true });
  for (const name of readdirSync(from)) {
    const text = readFileSync(join(from, name), 'utf8')
      .replaceAll(/^message (\w+) \{/gm, 'message $1 { string novelty = 5000; ')
      .replaceAll(
        /^enum (\w+) \{(.*?= 0;)/gms,
        (_, name: string, first: string) => `enum ${name} {${first} ${name.toUpperCase()}_NEWER = ${NEWER};`,
      )
      .replace('    Hello hello = 1;', '    Hello hello = 1; Farewell newer_arm = 5001;')
      .replace('    Welcome welcome = 1;', '    Welcome welcome = 1; Farewell newer_arm = 5001;');
    writeFileSync(join(folder, 'holdfast/v1', name), text);
  }
  return folder;
}

/** Every message inside says something new as well; maps are left alone, a new key in them would be an old thing. */
function withNovelty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNovelty);
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  const entries = Object.entries(value).map(([name, inner]) =>
    name === 'env' || name === 'labels' ? [name, inner] : [name, withNovelty(inner)],
  );
  return { ...Object.fromEntries(entries), novelty: 'of later days' };
}

/** Stands between an agent and a coordinator, and makes each believe that the other is of a later release. */
export class NewerRelay {
  address = '';
  /** How often an enum value that nobody knows was said to agents, by the part of the acknowledgement that it was in. */
  readonly values: Record<string, number> = {};
  /** The most messages of an unknown arm that an agent has said it met. */
  unknownMet = 0;
  readonly #server = new Server();
  readonly #folder = newerProtos();
  readonly #up: Codec;
  readonly #down: Codec;
  readonly #far: Client;
  readonly #path: string;

  private constructor(target: string) {
    const definition = loadSync('holdfast/v1/agent_service.proto', {
      includeDirs: [this.#folder],
      ...{ longs: String, oneofs: true },
    });
    this.#up = definition['holdfast.v1.ConnectRequest'] as Codec;
    this.#down = definition['holdfast.v1.ConnectResponse'] as Codec;
    this.#path = (definition['holdfast.v1.AgentService'] as ServiceDefinition).Connect?.path ?? '';
    this.#far = new Client(target, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    const Connect = {
      ...{ path: this.#path, requestStream: true, responseStream: true },
      ...{ requestSerialize: asBytes, requestDeserialize: asBytes },
      ...{ responseSerialize: asBytes, responseDeserialize: asBytes },
    };
    this.#server.addService(
      { Connect },
      { Connect: (near: ServerDuplexStream<Buffer, Buffer>) => this.#join(near) },
    );
  }

  static async start(target: string): Promise<NewerRelay> {
    const relay = new NewerRelay(target);
    const port = await new Promise<number>((done, failed) => {
      relay.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? done(bound) : failed(error),
      );
    });
    relay.address = `127.0.0.1:${port}`;
    return relay;
  }

  #join(near: ServerDuplexStream<Buffer, Buffer>): void {
    const far = this.#far.makeBidiStreamRequest(this.#path, asBytes, asBytes);
    const newerArm = { newerArm: { novelty: 'of later days' } };
    let greeted = false;
    near.on('data', (data: Buffer) => {
      // The Hello comes first, whatever the release: nothing may be put in front of it.
      if (greeted) far.write(this.#up.serialize(newerArm));
      greeted = true;
      const up = this.#up.deserialize(data) as { heartbeat?: { health?: { unknownMessages?: string } } };
      this.unknownMet = Math.max(this.unknownMet, Number(up.heartbeat?.health?.unknownMessages ?? 0));
      far.write(this.#up.serialize(withNovelty(up) as object));
    });
    near.on('end', () => far.end());
    near.on('cancelled', () => far.cancel());
    near.on('error', () => far.cancel());
    far.on('data', (data: Buffer) => {
      const { ack, ...rest } = this.#down.deserialize(data) as Fields;
      const down = ack === undefined ? rest : { ack: this.#withNewerValues(ack as Fields) };
      near.write(this.#down.serialize(newerArm));
      near.write(this.#down.serialize(withNovelty(down) as object));
    });
    far.on('error', () => undefined);
    far.on('status', ({ code, details }) => {
      if (code === 0) near.end();
      else near.destroy(Object.assign(new Error(details), { code, details }));
    });
  }

  /** The enum values for which the protos name a fallback become ones that nobody knows. */
  #withNewerValues(ack: Fields): Fields {
    const replaced = {
      stops: 'reason',
      cancellations: 'reason',
      acknowledgements: 'disposition',
      refusals: 'reason',
    };
    const parts = Object.entries(replaced).map(([part, field]) => {
      const list = (ack[part] ?? []) as Fields[];
      this.values[part] = (this.values[part] ?? 0) + list.length;
      return [part, list.map((one) => ({ ...one, [field]: NEWER }))];
    });
    return { ...ack, ...Object.fromEntries(parts) };
  }

  close(): void {
    this.#server.forceShutdown();
    this.#far.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

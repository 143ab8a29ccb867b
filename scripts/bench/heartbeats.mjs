// Loaded into a coordinator: tells on its channel when heartbeats reached the engine, stream by stream. Nothing of it is in
// the program.
import { Engine } from '../../dist/engine/engine.js';

const put = Reflect.get(Engine.prototype, 'put');
const agents = new Map();
let beats = new Map();

Engine.prototype.put = function (input) {
  if (input.kind === 'hello') agents.set(input.streamId, input.hello.agentId);
  if (input.kind === 'heartbeat') {
    const of = agents.get(input.streamId);
    if (!beats.has(of)) beats.set(of, []);
    beats.get(of).push(performance.now());
  }
  return Reflect.apply(put, this, [input]);
};

process.on('message', () => {
  process.send([...beats]);
  beats = new Map();
});
process.channel.unref();

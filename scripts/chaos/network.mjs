// The network between the agents and the coordinator, and how it is cut. Where the machine allows it, each agent lives in
// a network namespace of its own, joined by a veth pair, and packets are dropped by nftables; elsewhere each agent
// dials through a proxy that can stop forwarding.
import { openProxy } from '../demo/proxy.mjs';
import { system } from './system.mjs';

const LOSS_PERCENT = 30;
const FLAP_MS = 700;
const TABLE = 'add table inet chaos\nadd chain inet chaos in { type filter hook input priority 0; }';

const ip = (...args) => system('ip', args);
const nft = (rules, namespace) => {
  const inside = namespace === undefined ? ['nft'] : ['ip', 'netns', 'exec', namespace, 'nft'];
  system(inside[0], [...inside.slice(1), '-f', '-'], rules);
};

/**
 * Real packets. The harness itself runs in a network namespace that nothing else uses (see world.mjs): what is made here
 * cannot collide with the machine's own network, and vanishes with the last of its processes.
 */
export class NamespaceNetwork {
  name = 'network namespaces, veth and nftables';
  kinds = ['both', 'up', 'down', 'link', 'loss', 'flap'];
  host = '0.0.0.0';
  #port;
  #agents;
  #flapping = new Map();

  constructor(agentIds, port) {
    this.#port = port;
    this.#agents = new Map(agentIds.map((agentId, index) => [agentId, index + 1]));
  }

  async open() {
    ip('link', 'set', 'lo', 'up');
    nft(TABLE);
    for (const [agentId, number] of this.#agents) {
      ip('netns', 'add', agentId);
      ip('link', 'add', `v${number}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', agentId);
      ip('addr', 'add', `10.77.${number}.1/30`, 'dev', `v${number}`);
      ip('link', 'set', `v${number}`, 'up');
      ip('-n', agentId, 'addr', 'add', `10.77.${number}.2/30`, 'dev', 'eth0');
      ip('-n', agentId, 'link', 'set', 'eth0', 'up');
      ip('-n', agentId, 'link', 'set', 'lo', 'up');
      nft(TABLE, agentId);
      nft(`add chain inet chaos from${number}`);
      nft(`add rule inet chaos in iifname "v${number}" jump from${number}`);
    }
  }

  addressFor(agentId) {
    return `10.77.${this.#agents.get(agentId)}.1:${this.#port}`;
  }

  /** What goes before the command of an agent. */
  prefixOf(agentId) {
    return ['ip', 'netns', 'exec', agentId];
  }

  /** Kinds: both, up (agent to coordinator), down, link (the cable), loss (a share of all packets), flap (on and off). */
  cut(agentId, kind) {
    const number = this.#agents.get(agentId);
    const share = kind === 'loss' ? `numgen random mod 100 < ${LOSS_PERCENT} ` : '';
    const up = () => nft(`add rule inet chaos from${number} ${share}drop`);
    const down = () => nft(`add rule inet chaos in iifname "eth0" ${share}drop`, agentId);
    if (kind === 'link') return ip('link', 'set', `v${number}`, 'down');
    if (kind === 'flap') return this.#flap(agentId);
    if (kind !== 'down') up();
    if (kind !== 'up') down();
  }

  #flap(agentId) {
    let isCut = true;
    this.cut(agentId, 'both');
    const timer = setInterval(() => {
      isCut = !isCut;
      if (isCut) this.cut(agentId, 'both');
      else this.#mend(agentId);
    }, FLAP_MS);
    this.#flapping.set(agentId, timer);
  }

  heal(agentId) {
    clearInterval(this.#flapping.get(agentId));
    this.#flapping.delete(agentId);
    this.#mend(agentId);
  }

  #mend(agentId) {
    const number = this.#agents.get(agentId);
    ip('link', 'set', `v${number}`, 'up');
    nft(`flush chain inet chaos from${number}`);
    nft('flush chain inet chaos in', agentId);
  }

  close() {
    for (const agentId of this.#flapping.keys()) clearInterval(this.#flapping.get(agentId));
    for (const agentId of this.#agents.keys()) {
      try {
        ip('netns', 'delete', agentId);
      } catch {
        // Not made yet. What is left goes with the namespace around it.
      }
    }
  }
}

/** Where there are no namespaces: both directions stop, nothing is closed, what was sent arrives later. */
export class ProxyNetwork {
  name = 'the pausing proxy (no network namespaces here: no one-way cuts, no loss)';
  kinds = ['both', 'flap'];
  host = '127.0.0.1';
  #target;
  #agentIds;
  #proxies = new Map();
  #flapping = new Map();

  constructor(agentIds, port) {
    this.#agentIds = agentIds;
    this.#target = `127.0.0.1:${port}`;
  }

  async open() {
    for (const agentId of this.#agentIds) this.#proxies.set(agentId, await openProxy(this.#target));
  }

  addressFor(agentId) {
    return this.#proxies.get(agentId).address;
  }

  prefixOf() {
    return [];
  }

  /** The agent's connection is broken off at once; a new one can be made. */
  breakOff(agentId) {
    this.#proxies.get(agentId).breakOff();
  }

  cut(agentId, kind) {
    const proxy = this.#proxies.get(agentId);
    proxy.cut();
    if (kind !== 'flap') return;
    let isCut = true;
    const timer = setInterval(() => {
      isCut = !isCut;
      if (isCut) proxy.cut();
      else proxy.heal();
    }, FLAP_MS);
    this.#flapping.set(agentId, timer);
  }

  heal(agentId) {
    clearInterval(this.#flapping.get(agentId));
    this.#proxies.get(agentId).heal();
  }

  close() {
    for (const timer of this.#flapping.values()) clearInterval(timer);
    for (const proxy of this.#proxies.values()) proxy.close();
  }
}

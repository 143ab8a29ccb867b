// The network between the agents and the coordinator, and how it is cut. Where the machine allows it, each agent lives in
// a network namespace of its own, joined by a veth pair, and packets are dropped by nftables; elsewhere each agent
// dials through a proxy that can stop forwarding. Delays are the kernel's (netem) where it has them; else one of the
// agents dials through the proxy, in its namespace as well.
import { openLaggingProxy } from './proxy.mjs';
import { Random } from './random.mjs';
import { succeeds, system } from './system.mjs';

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
  kinds = ['both', 'up', 'down', 'link', 'loss', 'flap', 'delay'];
  host = '0.0.0.0';
  #port;
  #agents;
  #flapping = new Map();
  /** The agent behind the proxy, where the kernel cannot delay packets: { agentId, proxy }. */
  #lagging = null;
  #delayed = new Set();

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
    await this.#prepareDelays();
  }

  async #prepareDelays() {
    if (succeeds('tc', ['qdisc', 'add', 'dev', 'lo', 'root', 'netem', 'delay', '1ms'])) {
      system('tc', ['qdisc', 'del', 'dev', 'lo', 'root']);
      this.name += '; delays by netem';
      return;
    }
    const agentId = [...this.#agents.keys()].at(-1);
    const host = `10.77.${this.#agents.get(agentId)}.1`;
    const proxy = await openLaggingProxy(`127.0.0.1:${this.#port}`, host, new Random(1));
    this.#lagging = { agentId, proxy };
    this.name += `; delays by a proxy (this kernel has no netem), through which ${agentId} dials`;
  }

  addressFor(agentId) {
    const isLagging = this.#lagging?.agentId === agentId;
    return `10.77.${this.#agents.get(agentId)}.1:${isLagging ? this.#lagging.proxy.port : this.#port}`;
  }

  /** Whom this kind of fault can be done to. */
  agentsFor(kind) {
    const isOne = kind === 'delay' && this.#lagging !== null;
    return isOne ? [this.#lagging.agentId] : [...this.#agents.keys()];
  }

  /** Everything takes so long in both directions from now on, drawn anew for each packet or piece. */
  delay(agentId, leastMs, mostMs) {
    if (this.#lagging !== null) return this.#lagging.proxy.delay(leastMs, mostMs);
    const [middle, spread] = [(leastMs + mostMs) / 2, (mostMs - leastMs) / 2].map(
      (ms) => `${Math.round(ms)}ms`,
    );
    this.#netem(agentId, 'replace', 'netem', 'delay', middle, spread);
    this.#delayed.add(agentId);
  }

  /** The queue in front of both ends of the agent's cable. */
  #netem(agentId, verb, ...rule) {
    const queueOf = (device) => ['qdisc', verb, 'dev', device, 'root', ...rule];
    system('tc', queueOf(`v${this.#agents.get(agentId)}`));
    ip('netns', 'exec', agentId, 'tc', ...queueOf('eth0'));
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
    if (this.#lagging?.agentId === agentId) this.#lagging.proxy.heal();
    if (this.#delayed.delete(agentId)) this.#netem(agentId, 'del');
  }

  close() {
    this.#lagging?.proxy.close();
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

/** Where there are no namespaces: nothing is closed and nothing lost, what was held back arrives later. */
export class ProxyNetwork {
  name =
    'a pausing and delaying proxy for each agent (no network namespaces here: no loss of packets, no pulled cable)';
  kinds = ['both', 'up', 'down', 'flap', 'delay'];
  host = '127.0.0.1';
  #target;
  #proxies;
  #flapping = new Map();

  constructor(agentIds, port) {
    this.#proxies = new Map(agentIds.map((agentId) => [agentId, null]));
    this.#target = `127.0.0.1:${port}`;
  }

  async open() {
    for (const agentId of this.#proxies.keys())
      this.#proxies.set(agentId, await openLaggingProxy(this.#target, this.host, new Random(1)));
  }

  addressFor(agentId) {
    return `${this.host}:${this.#proxies.get(agentId).port}`;
  }

  agentsFor() {
    return [...this.#proxies.keys()];
  }

  prefixOf() {
    return [];
  }

  /** The agent's connection is broken off at once; a new one can be made. */
  breakOff(agentId) {
    this.#proxies.get(agentId).breakOff();
  }

  /** Kinds: both, up (agent to coordinator), down, flap (on and off). */
  cut(agentId, kind) {
    const proxy = this.#proxies.get(agentId);
    if (kind !== 'flap') return proxy.hold(...(kind === 'both' ? ['up', 'down'] : [kind]));
    let isCut = true;
    proxy.hold('up', 'down');
    const timer = setInterval(() => {
      isCut = !isCut;
      if (isCut) proxy.hold('up', 'down');
      else proxy.heal();
    }, FLAP_MS);
    this.#flapping.set(agentId, timer);
  }

  delay(agentId, leastMs, mostMs) {
    this.#proxies.get(agentId).delay(leastMs, mostMs);
  }

  heal(agentId) {
    clearInterval(this.#flapping.get(agentId));
    this.#flapping.delete(agentId);
    this.#proxies.get(agentId).heal();
  }

  close() {
    for (const timer of this.#flapping.values()) clearInterval(timer);
    for (const proxy of this.#proxies.values()) proxy?.close();
  }
}

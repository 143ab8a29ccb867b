/**
 * The rooms of `src/`, and the doors between them. What is not written here is forbidden: a new folder, a new
 * package or a new door is one line in this table, read in review, before the first import compiles quietly.
 */
export interface Room {
  readonly job: string;
  /** Rooms (or single files of rooms) it may import besides itself. A room inside it is another room. */
  readonly mayImport: readonly string[] | 'all';
  /** Rooms of which it may know the types only. */
  readonly mayNameTypesOf?: readonly string[];
  /** Builtin modules of Node. */
  readonly builtins: readonly string[] | 'all';
  /** npm packages; `@scope/*` stands for every package of the scope. */
  readonly packages: readonly string[] | 'all';
  /**
   * Touches nothing: no global that reaches outside. 'sync' also forbids promises: a decision that waits in the
   * middle could see the world change under it, and the simulator could not replay it.
   */
  readonly pure?: 'may wait' | 'sync';
}

const nothing = { builtins: [], packages: [] } as const;
const files = ['node:fs', 'node:fs/promises', 'node:os', 'node:path', 'node:url'];

/** By path under `src/`; the longest that fits a file is its room. A single file may be a room of its own. */
export const rooms: Readonly<Record<string, Room>> = {
  kit: {
    job: 'instants and durations, branded ids, invariant(), backoff, seeded random',
    mayImport: [],
    ...nothing,
    pure: 'may wait',
  },
  core: {
    job: 'what must happen: rows, inputs, decisions',
    mayImport: ['kit'],
    ...nothing,
    pure: 'sync',
  },
  store: {
    job: 'rows in, rows out: the interface',
    mayImport: ['core', 'kit'],
    ...nothing,
  },
  'store/memory': {
    job: 'rows kept in maps',
    mayImport: ['store', 'core', 'kit'],
    ...nothing,
  },
  'store/sqlite': {
    job: 'rows kept in one file',
    mayImport: ['store', 'store/sqlite/files.ts', 'core', 'kit'],
    builtins: ['node:sqlite'],
    packages: [],
  },
  'store/sqlite/files.ts': {
    job: 'whole copies of the database; the database itself is opened by the driver alone',
    mayImport: [],
    builtins: ['node:fs', 'node:path'],
    packages: [],
  },
  'store/postgres': {
    job: 'rows kept in a schema of a PostgreSQL database, one coordinator at a time',
    mayImport: ['store', 'core', 'kit'],
    builtins: [],
    packages: ['pg'],
  },
  wire: {
    job: 'generated stubs, links, status table, limits',
    mayImport: ['kit'],
    builtins: [],
    packages: ['@grpc/*', '@bufbuild/*'],
  },
  'wire/tls': {
    job: 'certificates and keys from their files, and how a coordinator is dialled with them',
    mayImport: ['kit'],
    builtins: ['node:crypto', 'node:fs', 'node:net', 'node:tls'],
    packages: ['@grpc/grpc-js'],
  },
  engine: {
    job: 'inbox, batch, commit, outbox, timers, the real clock',
    mayImport: ['store', 'core', 'kit'],
    builtins: ['node:timers', 'node:timers/promises', 'node:perf_hooks'],
    packages: [],
  },
  server: {
    job: "gRPC services, one stream's life, frames to inputs and back, authentication",
    mayImport: ['engine', 'store', 'wire', 'wire/tls', 'core', 'kit'],
    builtins: [...files, 'node:crypto', 'node:tls'],
    packages: ['@grpc/grpc-js', 'grpc-health-check', 'jose'],
  },
  webhooks: {
    job: 'tells the outside of what is committed: signed, repeated, in order',
    mayImport: ['engine', 'store', 'core', 'kit'],
    builtins: ['node:crypto'],
    packages: [],
  },
  agent: {
    job: 'the SDK: connection, worker, triggerer, dag-processor, runner',
    mayImport: ['agent/core', 'agent/load.ts', 'wire', 'wire/tls', 'kit'],
    builtins: 'all',
    packages: ['@grpc/grpc-js', '@standard-schema/spec'],
  },
  'agent/load.ts': {
    job: "loads the user's own modules, whose names no table can hold",
    mayImport: ['agent'],
    builtins: [],
    packages: ['(computed)'],
  },
  'agent/core': {
    job: 'the pure half of an agent: gate, lease, inventory, session',
    mayImport: ['kit'],
    ...nothing,
    pure: 'sync',
  },
  dag: {
    job: 'DAG files: schema, YAML and modules to snapshots; the timetable',
    mayImport: ['core/dag', 'dag/isolate/load.ts', 'kit'],
    mayNameTypesOf: ['core'],
    builtins: [...files, 'node:child_process', 'node:crypto', 'node:module', 'node:worker_threads'],
    packages: ['chokidar', 'croner', 'yaml', 'zod'],
  },
  'dag/isolate/load.ts': {
    job: "loads a DAG module of the user's, whose name no table can hold",
    mayImport: [],
    builtins: [],
    packages: ['(computed)'],
  },
  client: {
    job: 'typed client of the public API',
    mayImport: ['wire', 'wire/tls', 'kit'],
    builtins: ['node:crypto'],
    packages: ['@grpc/grpc-js'],
  },
  stubs: {
    job: 'the generated messages and services, for programs that speak the protocols themselves',
    mayImport: ['wire'],
    ...nothing,
  },
  cli: {
    job: 'what people see in a terminal; a plain client',
    mayImport: ['client', 'kit'],
    builtins: 'all',
    packages: ['@bomb.sh/tab', '@grpc/proto-loader', 'commander', 'picocolors', 'pino-pretty', 'yaml', 'zod'],
  },
  console: {
    job: 'what people see in a browser; a plain client',
    mayImport: ['client', 'kit'],
    builtins: [...files, 'node:http', 'node:http2', 'node:https'],
    packages: ['hono', '@hono/node-server'],
  },
  testing: {
    job: 'what ships for others to test with: simulator, conformance kit',
    mayImport: [
      'engine',
      'store',
      'store/memory',
      'store/sqlite',
      'store/postgres',
      'agent',
      'agent/core',
      // How snapshots of bundles come in, which the simulator plays as it is.
      'server/bundle-intake.ts',
      'wire',
      'core',
      'kit',
    ],
    builtins: [...files, 'node:child_process', 'node:crypto'],
    packages: [],
  },
  'testing/conformance': {
    job: 'a coordinator that misbehaves on purpose, played against any agent over real sockets',
    mayImport: ['wire', 'wire/tls', 'kit'],
    builtins: [...files, 'node:child_process', 'node:crypto', 'node:http', 'node:net'],
    packages: ['@grpc/grpc-js'],
  },
  main: {
    job: 'composition: where server, agents, console and configuration meet',
    mayImport: 'all',
    builtins: 'all',
    packages: 'all',
  },
  config: {
    job: 'flags > environment > file > default, in one pass',
    mayImport: ['core/policy.ts', 'kit'],
    builtins: [...files, 'node:process'],
    packages: ['yaml', 'zod'],
  },
  'index.ts': {
    job: 'what the package exports',
    mayImport: ['main'],
    ...nothing,
  },
};

const under = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** The room of a file, by its path under `src/`. */
export function roomOf(path: string): string | undefined {
  return Object.keys(rooms)
    .filter((name) => under(path, name))
    .sort((a, b) => b.length - a.length)[0];
}

/** One import as written: what it names, and whether only types come through it. */
export interface Import {
  readonly source: string;
  readonly typesOnly: boolean;
  readonly line: number;
}

/** Why the file at `path` (under `src/`) may not import this; undefined when it may. */
export function refuseImport(path: string, imported: Import): string | undefined {
  const name = roomOf(path);
  const room = name === undefined ? undefined : rooms[name];
  if (room === undefined) return `${path} lies in no room of the table`;
  const { source, typesOnly } = imported;
  const denied = (what: string): string => `${name} may not import ${what}`;

  if (source.startsWith('.')) {
    const target = resolveFrom(path, source);
    if (target === undefined) return denied(`${source}, outside src/`);
    return mayEnter(name as string, room, target, typesOnly) ? undefined : denied(`src/${target}`);
  }
  if (source.startsWith('node:')) return listed(room.builtins, source) ? undefined : denied(source);
  return listed(room.packages, packageOf(source)) ? undefined : denied(`the package ${packageOf(source)}`);
}

function mayEnter(name: string, room: Room, target: string, typesOnly: boolean): boolean {
  const home = roomOf(target);
  if (home === undefined) return false;
  if (home === name || room.mayImport === 'all') return true;
  const doors = typesOnly ? [...room.mayImport, ...(room.mayNameTypesOf ?? [])] : room.mayImport;
  return doors.some((door) => under(target, door) && (home === door || !(door in rooms)));
}

/** `../kit/ids.js` from `core/rows.ts` → `kit/ids.ts`; undefined when it climbs out of `src/`. */
function resolveFrom(path: string, source: string): string | undefined {
  const at = path.split('/').slice(0, -1);
  for (const step of source.split('/')) {
    if (step === '..' && at.pop() === undefined) return undefined;
    if (step !== '..' && step !== '.') at.push(step);
  }
  return at.join('/').replace(/\.js$/, '.ts');
}

const packageOf = (source: string): string =>
  source
    .split('/')
    .slice(0, source.startsWith('@') ? 2 : 1)
    .join('/');

const listed = (list: readonly string[] | 'all', name: string): boolean =>
  list === 'all' || list.includes(name) || list.includes(`${name.split('/')[0]}/*`);

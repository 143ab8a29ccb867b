// A registry mirror may list only this platform's binaries. The lockfile written from it then lacks the optional
// packages of all other platforms, and their `npm ci` refuses it. This adds, for every optional dependency without
// an entry, one that says which platform it is for; npm fetches it only there. Run it after every change of
// dependencies; `--check` only tells whether it would change anything.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { root } from './tool.mjs';

const systems = {
  aix: 'aix',
  android: 'android',
  darwin: 'darwin',
  freebsd: 'freebsd',
  fsevents: 'darwin',
  linux: 'linux',
  netbsd: 'netbsd',
  openbsd: 'openbsd',
  openharmony: 'openharmony',
  sunos: 'sunos',
  win32: 'win32',
  windows: 'win32',
};
const processors = {
  arm: 'arm',
  arm64: 'arm64',
  armv7: 'arm',
  ia32: 'ia32',
  loong64: 'loong64',
  mips64el: 'mips64el',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  wasm32: 'wasm32',
  x64: 'x64',
};
const libraries = {
  glibc: 'glibc',
  gnu: 'glibc',
  gnueabihf: 'glibc',
  musl: 'musl',
  musleabihf: 'musl',
};

/** `@swc/core-linux-x64-musl` → { os: ['linux'], cpu: ['x64'], libc: ['musl'] }, by the last word of each sort. */
function platformOf(name) {
  const words = name.split(/[-/@.]/).reverse();
  const said = (table) => words.filter((word) => Object.hasOwn(table, word)).map((word) => [table[word]])[0];
  return { os: said(systems), cpu: said(processors), libc: said(libraries) };
}

/** Where npm would look for `name` from the package at `from`: its own node_modules, then each one further out. */
function find(packages, from, name) {
  for (let base = from; ; base = base.slice(0, Math.max(0, base.lastIndexOf('node_modules/') - 1))) {
    const place = `${base === '' ? '' : `${base}/`}node_modules/${name}`;
    if (packages[place]) return place;
    if (base === '') return undefined;
  }
}

function entryFor(name, range, parent) {
  const version = range.replace(/^[\^~=]/, '');
  const { os, cpu, libc } = platformOf(name);
  if (!/^\d+\.\d+\.\d+[-+.\w]*$/.test(version))
    throw new Error(`${name}: cannot choose a version for "${range}"`);
  if (!os && !cpu) throw new Error(`${name}: the name does not say its platform; teach complete-lockfile`);
  return {
    version,
    ...(cpu && { cpu }),
    ...(parent.dev && { dev: true }),
    ...(parent.devOptional && { devOptional: true }),
    ...(libc && { libc }),
    optional: true,
    ...(os && { os }),
  };
}

/** Adds what is missing to `lock.packages`; returns the names added. */
function complete(lock) {
  const added = [];
  for (const [from, parent] of Object.entries(lock.packages)) {
    for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
      if (find(lock.packages, from, name)) continue;
      lock.packages[`node_modules/${name}`] = entryFor(name, range, parent);
      added.push(name);
    }
  }
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(sorted);
  return added;
}

const LOCKS = ['package-lock.json', 'scripts/bench/peers/package-lock.json'];

for (const name of LOCKS) {
  const file = resolve(root, name);
  const lock = JSON.parse(readFileSync(file, 'utf8'));
  const added = complete(lock);
  if (added.length === 0) {
    console.log(`${name} is complete.`);
  } else if (process.argv.includes('--check')) {
    console.error(`${name} lacks ${added.length} packages of other platforms: ${added.join(', ')}`);
    console.error('Run `npm run lockfile` and commit the result.');
    process.exitCode = 1;
  } else {
    writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
    console.log(`Added ${added.length} packages of other platforms to ${name}.`);
  }
}

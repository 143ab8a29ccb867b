// Where a bench ran: figures without it mean nothing.
import { execFileSync } from 'node:child_process';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { median } from './figures.mjs';

export function machine() {
  const [{ model }] = cpus();
  return {
    kernel: said('uname', ['-sr']),
    cpus: cpus().length,
    cpu: model.trim(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    sqlite: String(new DatabaseSync(':memory:').prepare('SELECT sqlite_version() AS v').get()?.v),
    redis: /v=(\S+)/.exec(said('redis-server', ['--version']))?.[1] ?? null,
    postgres: said('pg_config', ['--version']).split(' ')[1] ?? null,
    commit: said('git', ['-C', import.meta.dirname, 'describe', '--always', '--dirty', '--abbrev=10']),
    date: new Date().toISOString(),
    loadBefore: loadavg()[0],
    fsyncMicros: fsyncMicros(),
  };
}

export function lineOf(m) {
  const software = [`Node ${m.node}`, `SQLite ${m.sqlite}`, m.redis && `Redis ${m.redis}`];
  if (m.postgres !== null) software.push(`PostgreSQL ${m.postgres}`);
  return (
    `${m.kernel}, ${m.cpus} × ${m.cpu}, ${m.memoryGiB} GiB, load ${m.loadBefore.toFixed(1)} before; ` +
    `${software.filter(Boolean).join(', ')}; Holdfast ${m.commit}\n` +
    `one fsync of 4 KiB takes ${m.fsyncMicros} µs (median of 50)`
  );
}

/** What a program says; empty when it is not installed. */
function said(program, args) {
  try {
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return '';
  }
}

/** What a durable commit costs at least, on the disk where the databases of the benches live. */
function fsyncMicros() {
  const file = join(tmpdir(), `holdfast-bench-fsync-${process.pid}`);
  const fd = openSync(file, 'w');
  const page = Buffer.alloc(4096);
  const micros = Array.from({ length: 50 }, () => {
    writeSync(fd, page);
    const begin = performance.now();
    fsyncSync(fd);
    return (performance.now() - begin) * 1000;
  });
  closeSync(fd);
  rmSync(file);
  return Math.round(median(micros));
}

// Sources to plain JavaScript, in a folder outside the checkout: types are taken off, nothing is checked.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { transformSync } from '@swc/core';
import { root } from '../tool.mjs';
import { changed, editsOf } from './table.mjs';

/** All that the simulator and the model import, by folder, and single files of other rooms. */
const ROOMS = ['kit', 'core', 'agent/core', 'engine', 'store', 'testing'];
const FILES = ['server/bundle-intake.ts', 'server/fields.ts', 'wire/limits.ts'];
/** @type {import('@swc/core').Options} */
const SWC = {
  swcrc: false,
  jsc: { parser: { syntax: 'typescript' }, target: 'es2024' },
  module: { type: 'es6' },
};

/** A build of the sources that can be mutated and healed again. */
export class Build {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-mutant-'));
  #sources = new Map();

  constructor() {
    process.on('exit', () => this.remove());
    writeFileSync(join(this.folder, 'package.json'), '{ "type": "module" }\n');
    for (const room of ROOMS) {
      const files = readdirSync(resolve(root, 'src', room), { recursive: true, encoding: 'utf8' });
      for (const file of files) if (file.endsWith('.ts')) this.#take(`src/${room}/${file}`);
    }
    for (const file of FILES) this.#take(`src/${file}`);
  }

  #take(file) {
    this.#sources.set(file, readFileSync(resolve(root, file), 'utf8'));
    this.#write(file, this.#sources.get(file));
  }

  #write(file, source) {
    const path = join(this.folder, file.slice('src/'.length).replace(/\.ts$/, '.js'));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, transformSync(source, { ...SWC, filename: file }).code);
  }

  /** Puts the edits of a mutant in. */
  mutate(mutant) {
    for (const [file, source] of this.#changed(mutant).sources) this.#write(file, source);
  }

  /** What is wrong with the edits of a mutant: each must match exactly once, and change something. */
  staleness(mutant) {
    return this.#changed(mutant).stale;
  }

  #changed(mutant) {
    return changed(mutant, (file) => this.#sources.get(file) ?? '');
  }

  heal(mutant) {
    for (const { file } of editsOf(mutant)) this.#write(file, this.#sources.get(file));
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

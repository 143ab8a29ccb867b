import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { SCENARIOS } from './support/golden.js';

const read = (file: string): string => readFileSync(resolve(SCENARIOS, file), 'utf8');

/** What is quoted in seed.md, sentence by sentence; words that only lead to a list are none. */
function sentences(): string[] {
  const [, quoted = ''] = read('seed.md').split('\n---\n');
  return quoted
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .flatMap((line) => line.replace(/^- /, '').split(/(?<=\.)\s+(?=[A-Z])/))
    .filter((sentence) => sentence.trim() !== '' && !sentence.endsWith(':'));
}

/** The stories, by name: the sentence of each, as its golden file quotes it. */
function stories(): Map<string, string> {
  const files = readdirSync(resolve(SCENARIOS, 'golden'));
  return new Map(
    files.map((file) => [file.replace(/\.txt$/, ''), read(`golden/${file}`).split('\n')[0] ?? '']),
  );
}

/** Names of the stories that are told. */
function told(): string[] {
  return readdirSync(SCENARIOS)
    .filter((file) => file.endsWith('.test.ts'))
    .flatMap((file) => [...read(file).matchAll(/^tells\(\s*'([^']+)'/gm)].map(([, name]) => name ?? ''));
}

describe('the behaviour asked for', () => {
  test('has 21 sentences, and each has a story', () => {
    expect(sentences()).toHaveLength(21);
    const quoted = new Set(stories().values());
    expect(sentences().filter((sentence) => !quoted.has(sentence))).toEqual([]);
  });

  test('is what every story quotes, and every golden file belongs to a story', () => {
    expect([...stories().values()].filter((sentence) => !sentences().includes(sentence))).toEqual([]);
    expect([...stories().keys()].sort()).toEqual(told().sort());
  });

  test('is mapped to its stories in the README, by words of the sentence', () => {
    const rows = [
      ...readFileSync('README.md', 'utf8').matchAll(/^\| “(.+)” \| (`[\w-]+`(?:, `[\w-]+`)*) \|$/gm),
    ];
    const mapped = rows.flatMap(([, quote = '', names = '']) =>
      [...names.matchAll(/`([\w-]+)`/g)].map(([, name = '']) => ({ name, quote })),
    );
    expect(mapped.map(({ name }) => name).sort()).toEqual([...stories().keys()].sort());
    const wrong = mapped.filter(({ name, quote }) => {
      const parts = quote.split(' … ');
      return parts.some((part) => !stories().get(name)?.includes(part));
    });
    expect(wrong).toEqual([]);
  });
});

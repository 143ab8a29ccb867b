// The fixtures of test/compat/golden: one message a line, its name, its fields as JSON and its bytes in hex.
import { filled, namesIn, present } from './samples.mjs';

/** @typedef {{ name: string, message: object, hex: string }} Fixture */

/** What should be on file for the protos as they are. */
export function wanted(definition) {
  return namesIn(definition).flatMap((name) => {
    const samples = [...filled(definition, name, 1), ...present(definition, name)];
    const texts = new Set(samples.map((message) => JSON.stringify(message)));
    return [...texts].map((text) => {
      const message = revive(text);
      return { name, message, hex: definition[`holdfast.v1.${name}`].serialize(message).toString('hex') };
    });
  });
}

const revive = (text) =>
  JSON.parse(text, (_, value) => (value?.type === 'Buffer' ? Buffer.from(value.data) : value));

/** @returns {Fixture[]} */
export function parseFixtures(text) {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name, json, hex] = line.split('\t');
      return { name, message: revive(json), hex };
    });
}

const keyOf = ({ name, message }) => `${name}\t${JSON.stringify(message)}`;

/** @param {readonly Fixture[]} fixtures */
export const textOf = (fixtures) => fixtures.map((one) => `${keyOf(one)}\t${one.hex}\n`).join('');

/**
 * What is on file, with the samples that are missing there put behind those of the same message. Nothing on file is ever
 * changed or dropped: it is what released programs say. `changed` are the samples whose bytes are not those on file.
 */
export function grown(onFile, samples) {
  const known = new Map(onFile.map((one) => [keyOf(one), one.hex]));
  const added = samples.filter((one) => !known.has(keyOf(one)));
  const changed = samples.filter((one) => known.has(keyOf(one)) && known.get(keyOf(one)) !== one.hex);
  const all = [...onFile, ...added].toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  return { all, added, changed };
}

import { parentPort } from 'node:worker_threads';
import { verdictOn } from '../check/verdict.js';
import type { Asked, Told } from './checker.js';

/* The thread in which large DAGs are checked, one after the other. */

function verdict(text: string): Omit<Told, 'n'> {
  try {
    const found = verdictOn(JSON.parse(text));
    if (!found.ok) return { text: null, errors: found.errors };
    return { text: JSON.stringify(found.definition), errors: [] };
  } catch (error) {
    return { text: null, errors: [`the DAG cannot be checked: ${(error as Error).message}`] };
  }
}

parentPort?.on('message', ({ n, text }: Asked) => {
  const told: Told = { n, ...verdict(text) };
  parentPort?.postMessage(told);
});

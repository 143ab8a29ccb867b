// The pace of those who submit: peers and we keep to the same.
import { setTimeout as wait } from 'node:timers/promises';

/** The first seconds are not counted: who submits and who works have yet to compile what they do. */
export const WARM_UP_S = 3;

/** Calls `submit` `perSecond` times a second for `seconds`, however long each call takes: users do not wait for one another. */
export async function atRate(perSecond, seconds, submit) {
  const begin = performance.now();
  const n = Math.round(perSecond * seconds);
  const underWay = new Set();
  for (let i = 0; i < n; ) {
    const due = Math.min(n, Math.floor(((performance.now() - begin) / 1_000) * perSecond) + 1);
    for (; i < due; i++) {
      const call = submit(i).then(() => underWay.delete(call));
      underWay.add(call);
    }
    await wait(1);
  }
  await Promise.all(underWay);
}

// The matrix: every fault at every step, before and after it; and why some cells cannot exist.
import { POINTS, SIDES } from './points.mjs';

export const FAULTS = ['kill agent', 'kill coordinator', 'kill store', 'drop', 'duplicate', 'delay'];

/**
 * The first row that matches says why a cell cannot exist.
 * @type {{ name: string, when: (cell: { fault: string, of: string, side: string }) => boolean, why: string }[]}
 */
const IMPOSSIBLE = [
  {
    name: 'no store process',
    when: ({ fault }) => fault === 'kill store',
    why: 'SQLite is a library inside the coordinator: there is no store process to kill, it dies with the coordinator',
  },
  {
    name: 'decision',
    when: ({ fault, of }) => of === 'decision' && (fault === 'drop' || fault === 'duplicate'),
    why: 'a decision in memory is no message: it is lost with its process only, and made once',
  },
  {
    name: 'second commit',
    when: ({ fault, of }) => of === 'commit' && fault === 'duplicate',
    why: 'a commit is a call into a library of the same process: nothing lies between that could repeat it',
  },
  {
    name: 'second write',
    when: ({ fault, of }) => of === 'write' && fault === 'duplicate',
    why: 'a write is one system call: nothing lies between that could repeat it',
  },
  {
    name: 'written line lost',
    when: ({ fault, of, side }) => of === 'write' && fault === 'drop' && side === 'after',
    why: 'what was written is there as long as the machine runs, and no process outlives the machine',
  },
  {
    name: 'second exec',
    when: ({ fault, of }) => of === 'exec' && fault === 'duplicate',
    why: 'a process becomes its command once: there is no duplicate of an exec',
  },
];

/** All cells in order: { id, point, side, fault, why }; `why` is null for those that can exist. */
export const CELLS = POINTS.flatMap((point) =>
  SIDES.flatMap((side) =>
    FAULTS.map((fault) => {
      const why = IMPOSSIBLE.find(({ when }) => when({ fault, of: point.of, side }))?.why ?? null;
      return { id: `${point.name}.${side}.${fault.replace(' ', '-')}`, point, side, fault, why };
    }),
  ),
);

/**
 * A part of the matrix with each step once on each side, the faults in turn: for a run that may not take long. The turn
 * grows by one with every step, so that a fault meets both sides.
 */
export function sliceOf(cells) {
  return POINTS.flatMap((point, row) =>
    SIDES.flatMap((side, column) => {
      const here = cells.filter((cell) => cell.point === point && cell.side === side);
      return here.slice((row + 2 * column) % here.length).slice(0, 1);
    }),
  );
}

// What is wrong with this process: HOLDFAST_FAULT names one of the faults of ../faults.mjs, or nothing is.
export const hasFault = (name) => process.env.HOLDFAST_FAULT === name;

// How long the demo's work takes: long enough that losses meet it, and different, so that slots become free one by one.

/** What is still running when the network is healed. */
export const SLOWEST = 'wettest_day';

const MONTH_MS = [2_000, 5_500, 2_250, 2_750, 2_500];

const PACE_MS = {
  ingest: () => 200,
  validate: () => 200,
  month: ({ month }) => MONTH_MS[Number(month.slice(5)) % MONTH_MS.length],
  report: () => 3_000,
  hottest: () => 6_000,
  dry: () => 6_000,
  frost_nights: () => 3_000,
  [SLOWEST]: () => 14_000,
};

/** At least so many milliseconds. */
export const paceOf = (handler, input) => PACE_MS[handler](input);

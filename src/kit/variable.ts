/** The environment variable of a flag: `queued-timeout` is `HOLDFAST_QUEUED_TIMEOUT`. */
export const variableOf = (flag: string): string => `HOLDFAST_${flag.toUpperCase().replaceAll('-', '_')}`;

/** Something ripens for two minutes, which a triggerer waits for, and is then picked by a worker. */
export const HARVEST = `
dag_id: harvest
tasks:
  ripen: {wait: {kind: delta, input: {for: 2m}}}
  pick: {command: ./pick, needs: ripen}
`;

import { RESTORED } from '../../core/recovery.js';
import type { Link, Statement } from './driver.js';

const CONTROL: Statement = {
  name: '',
  text: "SELECT has_function_privilege('pg_control_system()', 'execute') AS yes",
};
const SYSTEM: Statement = { name: '', text: 'SELECT system_identifier::text AS id FROM pg_control_system()' };
const HISTORY: Statement = {
  name: '',
  text: `SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS timeline, 'owner'::regclass::oid::text AS made`,
};
const MARK: Statement = { name: '', text: 'UPDATE counters SET recovery = $1' };

/**
 * Which history these rows are part of: the server, its timeline and the making of the table. A dump that was restored
 * differs in the first or the last, a recovery to a point in time and a standby that was promoted in the second: whatever
 * else came of it, commits that were confirmed may be gone. A copy of the server's disk differs in none.
 */
export async function placeOf(link: Link): Promise<string> {
  const [may] = await link.query(CONTROL);
  const [system] = may?.yes === true ? await link.query(SYSTEM) : [];
  const [history] = await link.query(HISTORY);
  return [system?.id ?? '', history?.timeline, history?.made].join('/');
}

/** Notes that confirmed commits may be lost (P18): in the rows, so that a restart before anything was decided knows it too. */
export async function markRestored(link: Link): Promise<void> {
  await link.query(MARK, [RESTORED.join(' ')]);
}

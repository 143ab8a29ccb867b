import { RESTORED } from '../../core/recovery.js';
import { Driver } from './driver.js';
import { RECOVERY } from './schema.js';

/**
 * Writes into a copy of a database that what came after it is lost (P18). In the file, so that a restart before anything
 * was decided knows it as well; of any schema, since the upgrade comes later. Throws StoreError.
 */
export function markRestored(file: string): void {
  const driver = new Driver(file);
  try {
    driver.transaction(() => {
      driver.exec(RECOVERY);
      const insert = driver.statement('INSERT OR IGNORE INTO recovery (step) VALUES (?)');
      for (const step of RESTORED) insert.run(step);
    });
  } finally {
    driver.close();
  }
}

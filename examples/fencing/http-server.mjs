// An HTTP API that keeps the highest fencing token seen for each resource, in one row with what it protects.
import { createServer } from 'node:http';
import { DatabaseSync } from 'node:sqlite';

const LIMIT_BYTES = 1_048_576;

/** Starts it on a port of 127.0.0.1; 0 takes a free one. */
export async function startStore(file, port = 0) {
  const db = new DatabaseSync(file);
  db.exec(
    'CREATE TABLE IF NOT EXISTS store (path TEXT PRIMARY KEY, value TEXT NOT NULL, fence INTEGER NOT NULL)',
  );
  const read = db.prepare('SELECT value, CAST(fence AS TEXT) AS fence FROM store WHERE path = ?');
  const write = db.prepare(`
    INSERT INTO store (path, value, fence) VALUES (?, ?, CAST(? AS INTEGER))
    ON CONFLICT (path) DO UPDATE SET value = excluded.value, fence = excluded.fence
    WHERE store.fence <= excluded.fence`);

  const serve = async (request, response) => {
    const answer = (status, headers = {}, body = '') => response.writeHead(status, headers).end(body);
    if (request.method === 'GET') {
      const row = read.get(request.url);
      return row === undefined
        ? answer(404)
        : answer(200, { 'fencing-token': String(row.fence) }, String(row.value));
    }
    if (request.method !== 'PUT') return answer(405);
    const token = request.headers['fencing-token'] ?? '';
    // A write without a token is refused as well: one client that forgets it undoes the protection for all.
    if (!/^[1-9][0-9]{0,17}$/.test(token)) return answer(428, {}, 'send the header Fencing-Token');
    request.setEncoding('utf8');
    let value = '';
    for await (const chunk of request) {
      value += chunk;
      if (value.length > LIMIT_BYTES) return answer(413);
    }
    // Comparing and writing are one statement: nothing comes in between.
    if (write.run(request.url, value, token).changes === 1) return answer(204);
    return answer(409, { 'fencing-token': read.get(request.url).fence }, 'a newer token was seen');
  };
  // A client that goes away amid its request must not end the server.
  const server = createServer(
    (request, response) => void serve(request, response).catch(() => response.destroy()),
  );
  await new Promise((listening) => server.listen(port, '127.0.0.1', () => listening(undefined)));
  const close = async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
    db.close();
  };
  const at = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${at.port}`, close };
}

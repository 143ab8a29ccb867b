import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface ObjectStore {
  readonly url: string;
  readonly close: () => Promise<void>;
}

/**
 * What the pattern needs of an object store: If-Match, If-None-Match, and an ETag that is made of the content alone,
 * as S3 makes it. `before` runs when a write has arrived, before its condition is looked at.
 */
export async function startObjects(
  before: (path: string) => Promise<void> = async () => {},
): Promise<ObjectStore> {
  const objects = new Map<string, Buffer>();
  const etagOf = (content: Buffer) => `"${createHash('md5').update(content).digest('hex')}"`;
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? '';
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.method === 'PUT') await before(path);
    const now = objects.get(path);
    if (request.method === 'GET') {
      if (now === undefined) return response.writeHead(404).end();
      return response.writeHead(200, { etag: etagOf(now) }).end(now);
    }
    const { 'if-match': match, 'if-none-match': none } = request.headers;
    if (match !== undefined && (now === undefined || match !== etagOf(now)))
      return response.writeHead(412).end();
    if (none === '*' && now !== undefined) return response.writeHead(412).end();
    objects.set(path, Buffer.concat(chunks));
    return response.writeHead(200).end();
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}

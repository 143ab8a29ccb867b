import { afterAll } from '@jest/globals';
import { describeStore } from './contract.js';
import { describeDagModel } from './dag-model.js';
import { describeModel } from './model.js';
import { PostgresServer } from './postgres-bench.js';

const server = new PostgresServer();
afterAll(() => server.end());

describeStore('PostgreSQL', () => server.bench());
describeModel('PostgreSQL', () => server.bench(), 12);
describeDagModel('PostgreSQL', () => server.bench(), 6);

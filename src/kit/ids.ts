import type { Brand } from './brand.js';

/** Fencing token: 64-bit, from one store-wide counter, drawn at each permit. 0 means none. */
export type Token = Brand<bigint, 'Token'>;

/** Session epoch: 64-bit, from one store-wide counter, drawn at each grant. 0 means none. */
export type Epoch = Brand<bigint, 'Epoch'>;

/** Nonce of a start request: unique within one instance of an agent. */
export type Nonce = Brand<bigint, 'Nonce'>;

export type TaskId = Brand<string, 'TaskId'>;
export type AgentId = Brand<string, 'AgentId'>;
export type InstanceId = Brand<string, 'InstanceId'>;

/** A stream as its coordinator process numbers it; never sent, never stored. */
export type StreamId = Brand<number, 'StreamId'>;

export const NO_TOKEN = 0n as Token;
export const NO_NONCE = 0n as Nonce;
export const NO_EPOCH = 0n as Epoch;

/** The form of agent ids, queues and instance ids (the latter at least 16 long). */
export const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

import { HeartbeatAck } from '../../wire/gen/holdfast/v1/agent_service.js';

/*
 * Messages as a later version of the protocol could send them: with numbers that nobody has a name for yet, written by
 * hand because no generated code can.
 */

/** A ConnectResponse whose arm has the number 60. */
export const UNKNOWN_ARM: Uint8Array = field(60, Buffer.from('from a later version'));

/** A HeartbeatAck with a field 200 that is not known. */
export function ackWithUnknownField(ack: HeartbeatAck): Uint8Array {
  const known = HeartbeatAck.encode(ack).finish();
  return field(2, Buffer.concat([known, field(200, Buffer.from('from a later version'))]));
}

function field(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([varint((number << 3) | 2), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest & 127) | 128);
  }
}

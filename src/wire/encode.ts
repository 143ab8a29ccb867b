import { BinaryWriter } from '@bufbuild/protobuf/wire';

/**
 * One writer for whatever is written often. A new one for each message, as generated code has it, allocates and clears
 * its first block anew, which costs more than all the rest of a heartbeat. It keeps the block of the largest message.
 */
const writer = new BinaryWriter();

/** The bytes of a message, in a buffer of its own. */
export function encoded<T>(
  type: { encode(message: T, writer: BinaryWriter): BinaryWriter },
  message: T,
): Uint8Array<ArrayBuffer> {
  try {
    return type.encode(message, writer).finish();
  } catch (error) {
    // What was written of this one must not begin the next one.
    writer.finish();
    throw error;
  }
}

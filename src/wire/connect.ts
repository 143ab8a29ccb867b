import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { AgentServiceService, ConnectRequest, ConnectResponse } from './gen/holdfast/v1/agent_service.js';

/**
 * One writer for all messages of the process. A new one for each, as generated code has it, allocates and clears its
 * first block anew, which costs more than all the rest of a heartbeat. It keeps the block of the largest message.
 */
const writer = new BinaryWriter();

function bytesOf<T>(type: { encode(message: T, writer: BinaryWriter): BinaryWriter }, message: T): Buffer {
  try {
    return Buffer.from(type.encode(message, writer).finish());
  } catch (error) {
    // What was written of this one must not begin the next one.
    writer.finish();
    throw error;
  }
}

/** The one method of the agent service, for whoever serves it and for whoever calls it. */
export const CONNECT = {
  ...AgentServiceService.connect,
  requestSerialize: (request: ConnectRequest): Buffer => bytesOf(ConnectRequest, request),
  responseSerialize: (response: ConnectResponse): Buffer => bytesOf(ConnectResponse, response),
};

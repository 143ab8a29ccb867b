import { encoded } from './encode.js';
import { AgentServiceService, ConnectRequest, ConnectResponse } from './gen/holdfast/v1/agent_service.js';

/** The one method of the agent service, for whoever serves it and for whoever calls it. */
export const CONNECT = {
  ...AgentServiceService.connect,
  requestSerialize: (request: ConnectRequest): Buffer => buffer(encoded(ConnectRequest, request)),
  responseSerialize: (response: ConnectResponse): Buffer => buffer(encoded(ConnectResponse, response)),
};

/** The same bytes, as grpc-js wants them. */
function buffer(bytes: Uint8Array<ArrayBuffer>): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

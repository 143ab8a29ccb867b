/**
 * The messages of `holdfast.v1` with their codecs, and the service definitions for `@grpc/grpc-js`, as generated from
 * `proto/`: for programs that speak the protocols themselves. The comments stand in the `.proto` files, which ship with
 * the package as `holdfast/proto/*`.
 */
export * from '../wire/gen/holdfast/v1/agent_service.js';
export * from '../wire/gen/holdfast/v1/fleet_service.js';
export * from '../wire/gen/holdfast/v1/task_service.js';
export * from '../wire/gen/holdfast/v1/types.js';

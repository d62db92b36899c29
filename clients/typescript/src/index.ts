export { DEFAULT_ADDRESS, InvalidAddress } from "./address.js";
export { type Arguments, type CallOptions, DEFAULT_TIMEOUT_MS, KgtClient } from "./client.js";
export * from "./errors.js";
export * from "./gen/kgt/v1/personalization_pb.js";
export { type ImportArguments, wholeLines } from "./overlay.js";

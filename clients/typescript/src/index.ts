export { type Access, InvalidAccess, type Pem, type Tls, type Token } from "./access.js";
export { DEFAULT_ADDRESS, InvalidAddress } from "./address.js";
export {
  type Arguments,
  type CallOptions,
  type ClientOptions,
  DEFAULT_TIMEOUT_MS,
  KgtClient,
} from "./client.js";
export * from "./errors.js";
export * from "./gen/kgt/v1/personalization_pb.js";
export { type ImportArguments, wholeLines } from "./overlay.js";

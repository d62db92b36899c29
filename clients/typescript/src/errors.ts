/**
 * The errors that a call can end with.
 *
 * CallError
 * ├── InvalidArgument       a field cannot be used as sent; `fields` names it
 * ├── Unauthenticated       nothing that counts proves who calls; get a new token
 * ├── PermissionDenied      who calls may not do this, or not for this user
 * ├── NotFound              unknown, or another user's
 * ├── AlreadyExists         the requestId was used for another request
 * ├── Aborted               the overlay has changed; read it again and retry
 * ├── FailedPrecondition    valid, but the overlay's state does not allow it
 * ├── ResourceExhausted     busy, or at a limit (`quotas`); `retryAfterMs`: when to come back
 * ├── Unavailable           not reachable, or not ready
 * ├── DeadlineExceeded      no response in time
 * ├── DataLoss              the server's store is damaged
 * ├── Cancelled             the call was cancelled, or the client closed
 * └── ServerFailure         a defect in the server
 */

import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";

import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";

/** What an error tells apart from its message. */
export interface CallErrorDetails {
  readonly reason?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly fields?: Readonly<Record<string, string>>;
  readonly quotas?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number | undefined;
  readonly cause?: unknown;
}

/** A call failed. */
export class CallError extends Error {
  /** The server's stable, machine-readable name for why (google.rpc.ErrorInfo). */
  readonly reason: string;
  /** Details that go with the reason, such as the revision. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Each offending field of the request, and what is wrong with it. */
  readonly fields: Readonly<Record<string, string>>;
  /** Each limit that was reached, by whose it is: "user", "service" or "server". */
  readonly quotas: Readonly<Record<string, string>>;
  /** When to try again; undefined if the server does not know. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, details: CallErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = new.target.name;
    this.reason = details.reason ?? "";
    this.metadata = details.metadata ?? {};
    this.fields = details.fields ?? {};
    this.quotas = details.quotas ?? {};
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** A field cannot be used as it was sent. */
export class InvalidArgument extends CallError {}
/** Nothing that counts proves who calls. */
export class Unauthenticated extends CallError {}
/** Who calls may not do this, or not for this user. */
export class PermissionDenied extends CallError {}
/** This user has no such thing. */
export class NotFound extends CallError {}
/** The request id was used before, for another request. */
export class AlreadyExists extends CallError {}
/** The overlay has changed since it was read. */
export class Aborted extends CallError {}
/** The request is valid, but the overlay's state does not allow it. */
export class FailedPrecondition extends CallError {}
/** The server is busy, or a limit was reached. */
export class ResourceExhausted extends CallError {}
/** The server cannot be reached, or is not ready. */
export class Unavailable extends CallError {}
/**
 * No response came in time. A write may still have been made. Repeat it with the same `requestId`
 * to find out.
 */
export class DeadlineExceeded extends CallError {}
/** The server's store is damaged. */
export class DataLoss extends CallError {}
/** The call was cancelled, or the client closed. */
export class Cancelled extends CallError {}
/** The server has a defect. */
export class ServerFailure extends CallError {}

const BY_CODE: Readonly<Partial<Record<Code, typeof CallError>>> = {
  [Code.InvalidArgument]: InvalidArgument,
  [Code.Unauthenticated]: Unauthenticated,
  [Code.PermissionDenied]: PermissionDenied,
  [Code.NotFound]: NotFound,
  [Code.AlreadyExists]: AlreadyExists,
  [Code.Aborted]: Aborted,
  [Code.FailedPrecondition]: FailedPrecondition,
  [Code.ResourceExhausted]: ResourceExhausted,
  [Code.Unavailable]: Unavailable,
  [Code.DeadlineExceeded]: DeadlineExceeded,
  [Code.DataLoss]: DataLoss,
  [Code.Canceled]: Cancelled,
};

/** The typed form of the error that Connect ends a call with. */
export function typedError(error: ConnectError): CallError {
  if (isLostConnection(error)) {
    return new Unavailable(`no connection to the server: ${error.rawMessage}`, { cause: error });
  }
  const [info] = error.findDetails(ErrorInfoSchema);
  const [bad] = error.findDetails(BadRequestSchema);
  const [quota] = error.findDetails(QuotaFailureSchema);
  const [retry] = error.findDetails(RetryInfoSchema);
  const kind = BY_CODE[error.code] ?? ServerFailure;
  return new kind(error.rawMessage || Code[error.code], {
    reason: info?.reason ?? "",
    metadata: info?.metadata ?? {},
    fields: Object.fromEntries(bad?.fieldViolations.map((v) => [v.field, v.description]) ?? []),
    quotas: Object.fromEntries(quota?.violations.map((v) => [v.subject, v.description]) ?? []),
    retryAfterMs: retry?.retryDelay && durationMs(retry.retryDelay),
    cause: error,
  });
}

/** Whether a connection could not be made or was lost: the server itself said nothing. */
function isLostConnection(error: ConnectError): boolean {
  if (error.metadata.has("grpc-status")) {
    return false;
  }
  if (error.code === Code.Canceled || error.code === Code.Aborted) {
    return true; // Streams that end with their connection have these codes.
  }
  const { cause } = error;
  return cause instanceof Error && "code" in cause && typeof cause.code === "string"; // Node.js's
}

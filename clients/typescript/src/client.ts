/** The client: each RPC of the contract is a method. */

import { randomUUID } from "node:crypto";

import type { DescMessage, Message, MessageInitShape } from "@bufbuild/protobuf";

import type { Access } from "./access.js";
import { DEFAULT_ADDRESS } from "./address.js";
import type { AttemptOptions } from "./calls.js";
import { Connection } from "./connection.js";
import type * as pb from "./gen/kgt/v1/personalization_pb.js";
import { type ImportArguments, importMessages } from "./overlay.js";

/** How long a call may take unless the client is told otherwise. */
export const DEFAULT_TIMEOUT_MS = 60_000;

type Fields<Desc extends DescMessage> = Omit<
  Exclude<MessageInitShape<Desc>, Message>,
  "$typeName"
>;
/** The fields of a request. Those that are left out are not sent: the server's default applies. */
export type Arguments<Desc extends DescMessage, Needed extends keyof Fields<Desc>> = Fields<Desc> &
  Required<Pick<Fields<Desc>, Needed>>;

/** How a call is made, apart from what it says. */
export interface CallOptions {
  /** Cancels the call. */
  readonly signal?: AbortSignal;
}

/** How a client is made. */
export interface ClientOptions extends Access {
  /** How long each call may take, with its retries. */
  readonly timeoutMs?: number;
}

/**
 * A client of one server. Close it when done.
 *
 * Each method takes its request's fields and returns its RPC's message, or an async iterable of
 * messages where the RPC streams. Every call has a deadline, and fails with CallError or one of its
 * subclasses. A call that fails with UNAVAILABLE is retried, but never after the first message of a
 * stream. Writes carry a request id, so a retry cannot make the same change twice.
 */
export class KgtClient {
  /** How long each call may take, with its retries. */
  readonly timeoutMs: number;
  private readonly connection: Connection;

  /**
   * Connect to `address` (`host:port` or `unix:PATH`) when the first call is made. Throws
   * InvalidAddress, and InvalidAccess for half of a client's certificate, or for a token that would
   * go over a network in the clear. What a token's function throws, each call throws.
   */
  constructor(
    address: string = DEFAULT_ADDRESS,
    { timeoutMs = DEFAULT_TIMEOUT_MS, ...access }: ClientOptions = {},
  ) {
    this.timeoutMs = timeoutMs;
    this.connection = new Connection(address, access);
  }

  /** The same client over the same connection, with a deadline of `timeoutMs`. */
  within(timeoutMs: number): KgtClient {
    const other = Object.create(KgtClient.prototype) as KgtClient;
    return Object.assign(other, this, { timeoutMs });
  }

  /** Close the connection, also for the clients that `within` made. It cancels calls under way. */
  close(): void {
    this.connection.close();
  }

  /**
   * Find the few triples to add and remove so that `query` gets `answer`, and commit them.
   *
   *     await kgt.personalize({ user: "alice", query: "What does a dog enjoy?", answer: "fish" });
   *
   * A `requestId` that is sent again with the same arguments returns the first response and changes
   * nothing. A new one is made for each call that names none. Fails with InvalidArgument if an
   * argument cannot be used, with AlreadyExists if `requestId` was used for another request, and
   * with Aborted if the overlay is not at `expectedRevision`.
   */
  personalize(
    request: Arguments<typeof pb.PersonalizeRequestSchema, "user" | "query" | "answer">,
    options?: CallOptions,
  ): Promise<pb.PersonalizeResponse> {
    return this.one(this.connection.rpc.personalize, identified(request), options);
  }

  /**
   * Learn the facts in what a user says, and take back those that no longer hold.
   *
   *     await kgt.learn({ user: "alice", text: "My daughter is allergic to peanuts." });
   *
   * The errors and `requestId` are those of `personalize`.
   */
  learn(
    request: Arguments<typeof pb.LearnRequestSchema, "user" | "text">,
    options?: CallOptions,
  ): Promise<pb.LearnResponse> {
    return this.one(this.connection.rpc.learn, identified(request), options);
  }

  /**
   * Retrieve facts from the user's view of the graph and answer from them.
   *
   *     (await kgt.answer({ user: "alice", query: "What should I feed my dog?" })).text
   *
   * Fails with InvalidArgument if an argument cannot be used, with NotFound if the overlay has not
   * reached `atRevision`, and with Unavailable if it has not reached `minRevision`.
   */
  answer(
    request: Arguments<typeof pb.AnswerRequestSchema, "user" | "query">,
    options?: CallOptions,
  ): Promise<pb.AnswerResponse> {
    return this.one(this.connection.rpc.answer, request, options);
  }

  /**
   * Answer in pieces: first the evidence, then the text, then the totals.
   *
   *     for await (const { part } of kgt.streamAnswer({ user: "alice", query })) {
   *       if (part.case === "text") process.stdout.write(part.value);
   *     }
   *
   * The arguments and errors are those of `answer`. Errors are thrown while iterating.
   */
  streamAnswer(
    request: Arguments<typeof pb.StreamAnswerRequestSchema, "user" | "query">,
    options?: CallOptions,
  ): AsyncGenerator<pb.StreamAnswerResponse, void, undefined> {
    return this.stream(this.connection.rpc.streamAnswer, request, options);
  }

  /**
   * Retrieve the facts that `answer` would read, without answering.
   *
   *     (await kgt.retrieve({ user: "alice", query: "What should I feed my dog?" })).context
   *
   * The errors are those of `answer`.
   */
  retrieve(
    request: Arguments<typeof pb.RetrieveRequestSchema, "user" | "query">,
    options?: CallOptions,
  ): Promise<pb.RetrieveResponse> {
    return this.one(this.connection.rpc.retrieve, request, options);
  }

  /**
   * List the triples that start at `concept`, as this user sees them. Pages are read as in
   * `listFacts`.
   */
  getNeighborhood(
    request: Arguments<typeof pb.GetNeighborhoodRequestSchema, "user" | "concept">,
    options?: CallOptions,
  ): Promise<pb.GetNeighborhoodResponse> {
    return this.one(this.connection.rpc.getNeighborhood, request, options);
  }

  /**
   * List every triple that this user has added or removed, newest first.
   *
   * Pass the response's `nextPageToken` as `pageToken` to read the next page; it is empty on the
   * last one. Fails with NotFound when the token is no longer valid: start the listing again.
   */
  listFacts(
    request: Arguments<typeof pb.ListFactsRequestSchema, "user">,
    options?: CallOptions,
  ): Promise<pb.ListFactsResponse> {
    return this.one(this.connection.rpc.listFacts, request, options);
  }

  /**
   * Add and remove triples directly, without the model.
   *
   *     await kgt.editFacts({ user, add: [{ head: "Luna", relation: "is a", tail: "cat" }] });
   *
   * `requestId` and `expectedRevision` are those of `personalize`. Fails with AlreadyExists and
   * Aborted as that does.
   */
  editFacts(
    request: Arguments<typeof pb.EditFactsRequestSchema, "user">,
    options?: CallOptions,
  ): Promise<pb.EditFactsResponse> {
    return this.one(this.connection.rpc.editFacts, identified(request), options);
  }

  /** List this user's edits, newest first. Pages are read as in `listFacts`. */
  listEdits(
    request: Arguments<typeof pb.ListEditsRequestSchema, "user">,
    options?: CallOptions,
  ): Promise<pb.ListEditsResponse> {
    return this.one(this.connection.rpc.listEdits, request, options);
  }

  /**
   * Restore exactly what an edit changed, as a new edit.
   *
   * Fails with NotFound when this user has no such edit, and with FailedPrecondition when later
   * edits rely on it, unless `skipConflicts` leaves out what they rely on.
   */
  revertEdit(
    request: Arguments<typeof pb.RevertEditRequestSchema, "user" | "editId">,
    options?: CallOptions,
  ): Promise<pb.RevertEditResponse> {
    return this.one(this.connection.rpc.revertEdit, identified(request), options);
  }

  /**
   * Stream one revision of the overlay, with its history, as JSON lines.
   *
   *     for await (const line of wholeLines(kgt.exportOverlay({ user: "alice" }))) ...
   *
   * Fails with DataLoss at the end of the stream when some edits' records were damaged.
   */
  exportOverlay(
    request: Arguments<typeof pb.ExportOverlayRequestSchema, "user">,
    options?: CallOptions,
  ): AsyncGenerator<pb.ExportOverlayResponse, void, undefined> {
    return this.stream(this.connection.rpc.exportOverlay, request, options);
  }

  /**
   * Take back the lines of an export, into an empty overlay.
   *
   * With `merge` the overlay may have edits of its own; the import's net effect is added as new
   * edits. Long lines are sent in pieces. Fails with InvalidArgument when the lines are not a whole
   * export.
   */
  importOverlay(
    request: ImportArguments,
    options?: CallOptions,
  ): Promise<pb.ImportOverlayResponse> {
    const { importOverlay } = this.connection.rpc;
    // An iterable can often be read only once; a retry reads the lines again.
    const kept = identified({ ...request, lines: [...request.lines] });
    return this.one((_, attempt) => importOverlay(importMessages(kept), attempt), kept, options);
  }

  /** Remove everything that the service keeps about a user. */
  eraseUser(
    request: Arguments<typeof pb.EraseUserRequestSchema, "user">,
    options?: CallOptions,
  ): Promise<pb.EraseUserResponse> {
    return this.one(this.connection.rpc.eraseUser, identified(request), options);
  }

  private one<I, O>(
    rpc: (request: I, options: AttemptOptions) => Promise<O>,
    request: I,
    options?: CallOptions,
  ): Promise<O> {
    const { calls } = this.connection;
    return calls.one((attempt) => rpc(request, attempt), this.timeoutMs, options?.signal);
  }

  private stream<I, O>(
    rpc: (request: I, options: AttemptOptions) => AsyncIterable<O>,
    request: I,
    options?: CallOptions,
  ): AsyncGenerator<O, void, undefined> {
    const { calls } = this.connection;
    return calls.stream((attempt) => rpc(request, attempt), this.timeoutMs, options?.signal);
  }
}

/** The request with a request id (AIP-155). A write that carries one can be repeated safely. */
function identified<R extends { readonly requestId?: string }>(request: R): R {
  return { ...request, requestId: request.requestId || randomUUID() };
}

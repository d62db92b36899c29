/** What makes an attempt a call: its deadline, its retries, its cancellation and its errors. */

import { setTimeout as pause } from "node:timers/promises";

import { ConnectError } from "@connectrpc/connect";

import { CallError, Cancelled, DeadlineExceeded, typedError, Unavailable } from "./errors.js";

const MOST_ATTEMPTS = 4;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 3000;
const PAUSE_FACTOR = 3;
const JITTER = 0.2;
/** gRPC sends a deadline as a whole number of at most eight digits. */
const LONGEST_SENT_MS = 99_999_999;

/** What each attempt is made with. */
export interface AttemptOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The calls under way over one connection. */
export class Calls {
  readonly #underWay = new Set<AbortController>();
  #closed = false;

  /** Attempt a call with one response until it succeeds. Throws CallError. */
  async one<T>(
    attempt: (options: AttemptOptions) => Promise<T>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const call = new Call(timeoutMs);
    const leave = this.#enter(call, signal);
    try {
      for (;;) {
        try {
          return await attempt(call.options());
        } catch (error) {
          await call.failed(error);
        }
      }
    } finally {
      leave();
    }
  }

  /** The same for a stream. It is not attempted again after its first message. */
  async *stream<T>(
    attempt: (options: AttemptOptions) => AsyncIterable<T>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    const call = new Call(timeoutMs);
    const leave = this.#enter(call, signal);
    try {
      for (let begun = false; ; ) {
        try {
          for await (const message of attempt(call.options())) {
            begun = true;
            yield message;
          }
          return;
        } catch (error) {
          await call.failed(error, begun);
        }
      }
    } finally {
      leave();
      // A reader who stops early no longer wants the rest.
      call.cancellation.abort();
    }
  }

  /** Cancel all calls, those to come as well. */
  close(): void {
    this.#closed = true;
    for (const cancellation of this.#underWay) {
      cancellation.abort();
    }
  }

  #enter({ cancellation }: Call, signal?: AbortSignal): () => void {
    const cancel = () => cancellation.abort();
    if (this.#closed || signal?.aborted) {
      cancel();
    }
    this.#underWay.add(cancellation);
    signal?.addEventListener("abort", cancel);
    return () => {
      this.#underWay.delete(cancellation);
      signal?.removeEventListener("abort", cancel);
    };
  }
}

/** One call: one or more attempts before one deadline. */
class Call {
  readonly cancellation = new AbortController();
  readonly #end: number;
  #attempts = 0;

  constructor(timeoutMs: number) {
    this.#end = performance.now() + timeoutMs;
  }

  /** What the next attempt is made with. Throws CallError if there cannot be one. */
  options(): AttemptOptions {
    const timeoutMs = this.#end - performance.now();
    if (timeoutMs <= 0) {
      throw new DeadlineExceeded("the call had no time left");
    }
    const sentMs = Math.min(Math.ceil(timeoutMs), LONGEST_SENT_MS);
    return { signal: this.cancellation.signal, timeoutMs: sentMs };
  }

  /** Wait until the next attempt. Throws CallError if `reason` is not worth one. */
  async failed(reason: unknown, final = false): Promise<void> {
    if (reason instanceof CallError) {
      throw reason;
    }
    const cause = ConnectError.from(reason);
    if (this.cancellation.signal.aborted) {
      throw new Cancelled("the call was cancelled", { cause });
    }
    const error = typedError(cause);
    this.#attempts += 1;
    const pauseMs = pauseBefore(this.#attempts, cause);
    const late = performance.now() + pauseMs >= this.#end;
    if (final || late || !(error instanceof Unavailable) || this.#attempts === MOST_ATTEMPTS) {
      throw error;
    }
    try {
      await pause(pauseMs, undefined, { signal: this.cancellation.signal });
    } catch {
      throw new Cancelled("the call was cancelled", { cause });
    }
  }
}

/** How long to wait after this many attempts: as long as the server says, if it does. */
function pauseBefore(attempts: number, error: ConnectError): number {
  const pushback = error.metadata.get("grpc-retry-pushback-ms");
  if (pushback !== null) {
    // gRPC's way for a server to say "do not retry" is a pause that is negative or no number.
    return /^[0-9]+$/.test(pushback) ? Number(pushback) : Infinity;
  }
  const pauseMs = Math.min(FIRST_PAUSE_MS * PAUSE_FACTOR ** (attempts - 1), LONGEST_PAUSE_MS);
  return pauseMs * (1 - JITTER + 2 * JITTER * Math.random());
}

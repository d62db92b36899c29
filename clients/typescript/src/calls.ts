/** What makes an attempt a call: its deadline, its retries, its cancellation and its errors. */

import { setTimeout as pause } from "node:timers/promises";

import { ConnectError } from "@connectrpc/connect";

import type { Token } from "./access.js";
import { CallError, Cancelled, DeadlineExceeded, typedError, Unavailable } from "./errors.js";

/** When a call is attempted again: as the Python client tells gRPC to do it. */
export const RETRIES = {
  mostAttempts: 4,
  firstPauseMs: 200,
  longestPauseMs: 3000,
  pauseFactor: 3,
} as const;
/** How far a pause may be from that, so that callers do not all come back at once: gRPC's own. */
const JITTER = 0.2;
/** gRPC sends a deadline as a whole number of at most eight digits. */
const LONGEST_SENT_MS = 99_999_999;

/** What each attempt is made with. */
export interface AttemptOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The calls over one connection. */
export class Calls {
  readonly #closing = new AbortController();
  readonly #token: Token | undefined;

  /** Each call carries `token`. */
  constructor(token?: Token) {
    this.#token = token;
  }

  /**
   * Attempt a call with one response until it succeeds. Throws CallError, and whatever a token's
   * function throws.
   */
  async one<T>(
    attempt: (options: AttemptOptions) => Promise<T>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const call = new Call(timeoutMs, this.#closing.signal, signal);
    await call.identify(this.#token);
    for (;;) {
      try {
        return await attempt(call.options());
      } catch (error) {
        await call.failed(error);
      }
    }
  }

  /** The same for a stream. It is not attempted again after its first message. */
  async *stream<T>(
    attempt: (options: AttemptOptions) => AsyncIterable<T>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    const left = new AbortController();
    const call = new Call(timeoutMs, this.#closing.signal, left.signal, signal);
    await call.identify(this.#token);
    let messages: AsyncIterator<T> | undefined;
    try {
      for (let begun = false; ; ) {
        try {
          messages = attempt(call.options())[Symbol.asyncIterator]();
          for (let next = await messages.next(); !next.done; next = await messages.next()) {
            begun = true;
            yield next.value;
          }
          messages = undefined;
          return;
        } catch (error) {
          messages = undefined;
          await call.failed(error, begun);
        }
      }
    } finally {
      // Only a reader who stops early leaves messages to come.
      if (messages !== undefined) {
        left.abort();
        await drained(messages);
      }
    }
  }

  /** Cancel all calls, those to come as well. */
  close(): void {
    this.#closing.abort();
  }
}

/** One call: one or more attempts before one deadline. */
class Call {
  readonly #signal: AbortSignal;
  readonly #end: number;
  #attempts = 0;
  #headers: Readonly<Record<string, string>> = {};

  /** Any of `signals` cancels it. */
  constructor(timeoutMs: number, ...signals: readonly (AbortSignal | undefined)[]) {
    this.#signal = AbortSignal.any(signals.filter((signal) => signal !== undefined));
    this.#end = performance.now() + timeoutMs;
  }

  /** Let the call carry `token`. Throws CallError if it is over before there is one. */
  async identify(token: Token | undefined): Promise<void> {
    if (token !== undefined) {
      const now = typeof token === "string" ? token : await this.#inTime(token);
      this.#headers = { authorization: `Bearer ${now}` };
    }
  }

  /** What the next attempt is made with. Throws CallError if there cannot be one. */
  options(): AttemptOptions {
    return { signal: this.#signal, timeoutMs: this.#leftMs(), headers: this.#headers };
  }

  /** Wait until the next attempt. Throws CallError if `reason` is not worth one. */
  async failed(reason: unknown, final = false): Promise<void> {
    if (reason instanceof CallError) {
      throw reason;
    }
    const cause = ConnectError.from(reason);
    const cancelled = new Cancelled("the call was cancelled", { cause });
    if (this.#signal.aborted) {
      throw cancelled;
    }
    const error = typedError(cause);
    this.#attempts += 1;
    const pauseMs = pauseBefore(this.#attempts, cause);
    const late = performance.now() + pauseMs >= this.#end;
    if (
      final ||
      late ||
      !(error instanceof Unavailable) ||
      this.#attempts === RETRIES.mostAttempts
    ) {
      throw error;
    }
    try {
      await pause(pauseMs, undefined, { signal: this.#signal });
    } catch {
      throw cancelled;
    }
  }

  /** The time until the deadline. Throws CallError if there is none. */
  #leftMs(): number {
    const leftMs = this.#end - performance.now();
    if (leftMs <= 0) {
      throw new DeadlineExceeded("the call had no time left");
    }
    return Math.min(Math.ceil(leftMs), LONGEST_SENT_MS);
  }

  /** What `ask` resolves to, unless the call is over before. */
  async #inTime<T>(ask: () => T | Promise<T>): Promise<T> {
    const asked = new AbortController();
    const over = pause(this.#leftMs(), undefined, {
      signal: AbortSignal.any([this.#signal, asked.signal]),
    }).then(
      () => Promise.reject(new DeadlineExceeded("there was no token in time")),
      (cause: unknown) => Promise.reject(new Cancelled("the call was cancelled", { cause })),
    );
    try {
      return await Promise.race([over, ask()]);
    } finally {
      asked.abort();
      over.catch(() => undefined);
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
  const { firstPauseMs, longestPauseMs, pauseFactor } = RETRIES;
  const pauseMs = Math.min(firstPauseMs * pauseFactor ** (attempts - 1), longestPauseMs);
  return pauseMs * (1 - JITTER + 2 * JITTER * Math.random());
}

/** Read what has arrived of a cancelled stream. Only at its end does Connect stop its timers. */
async function drained(messages: AsyncIterator<unknown>): Promise<void> {
  try {
    while (!(await messages.next()).done);
  } catch {
    // It was cancelled.
  }
}

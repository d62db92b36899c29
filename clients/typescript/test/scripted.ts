/** A gRPC server that does what a test says: it answers with empty messages, or fails. */

import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";

import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import { PersonalizationService } from "../src/index.js";

/** One call as the server saw it. */
interface Seen {
  readonly method: string;
  readonly messages: readonly (Message & { readonly user?: string; readonly requestId?: string })[];
  readonly timeoutMs: number | undefined;
  readonly authorization: string | null;
  /** Aborted once the call has ended. */
  readonly ended: AbortSignal;
}

/** A failure after which the client need not wait. */
export function unavailable(): ConnectError {
  return new ConnectError("as the test says", Code.Unavailable, { "grpc-retry-pushback-ms": "1" });
}

export class ScriptedServer {
  /** How many calls fail before one succeeds. */
  failures = 0;
  failure = unavailable();
  /** How many messages of a stream are sent before it fails or hangs. */
  messagesBefore = 0;
  /** Whether calls stay unanswered until the client gives up. */
  hangs = false;
  readonly calls: Seen[] = [];
  private readonly server = createServer(
    connectNodeAdapter({ routes: (router) => this.route(router), connect: false, grpcWeb: false }),
  );

  static async start(): Promise<ScriptedServer> {
    const scripted = new ScriptedServer();
    scripted.server.listen(0, "127.0.0.1");
    await once(scripted.server, "listening");
    return scripted;
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Take no more connections. Those that are open end with their clients. */
  close(): void {
    this.server.close();
  }

  private route(router: ConnectRouter): void {
    // The router has a type for each kind of method. Here, one function makes them all.
    for (const method of PersonalizationService.methods) {
      router.rpc(method as never, this.behavior(method) as never);
    }
  }

  private behavior(method: DescMethod): unknown {
    const response = create(method.output);
    const streamed = async function* (
      this: ScriptedServer,
      request: Message,
      context: HandlerContext,
    ) {
      const succeed = this.enter(method, [request], context);
      for (let sent = 0; sent < this.messagesBefore; sent += 1) {
        yield response;
      }
      await succeed();
      yield response;
    };
    switch (method.methodKind) {
      case "server_streaming":
        return streamed.bind(this);
      case "client_streaming":
        return async (requests: AsyncIterable<Message>, context: HandlerContext) => {
          await this.enter(method, await collected(requests), context)();
          return response;
        };
      default:
        return async (request: Message, context: HandlerContext) => {
          await this.enter(method, [request], context)();
          return response;
        };
    }
  }

  /** Record a call. What is returned waits if the call hangs, and throws if it fails. */
  private enter(
    method: DescMethod,
    messages: readonly Message[],
    context: HandlerContext,
  ): () => Promise<void> {
    const { signal: ended } = context;
    this.calls.push({
      method: method.localName,
      messages,
      timeoutMs: context.timeoutMs(),
      authorization: context.requestHeader.get("authorization"),
      ended,
    });
    const fails = this.failures > 0;
    this.failures -= 1;
    return async () => {
      if (this.hangs && !ended.aborted) {
        await once(ended, "abort");
      }
      if (fails) {
        throw this.failure;
      }
    };
  }
}

export async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) {
    all.push(item);
  }
  return all;
}

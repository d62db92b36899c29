/** A connection to one server: its RPCs, and the calls over it. */

import { connect } from "node:net";

import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { parseAddress } from "./address.js";
import { Calls } from "./calls.js";
import { PersonalizationService } from "./gen/kgt/v1/personalization_pb.js";

/** Opened by the first call, and again by the next one after it was lost. */
export class Connection {
  readonly calls = new Calls();
  readonly rpc: Client<typeof PersonalizationService>;
  readonly #session: Http2SessionManager;

  /** Throws InvalidAddress. */
  constructor(address: string) {
    const { origin, socketPath } = parseAddress(address);
    const socket = socketPath === undefined ? {} : { createConnection: () => connect(socketPath) };
    this.#session = new Http2SessionManager(origin, undefined, socket);
    this.rpc = createClient(
      PersonalizationService,
      createGrpcTransport({ baseUrl: origin, sessionManager: this.#session }),
    );
  }

  close(): void {
    this.calls.close();
    this.#session.abort();
  }
}

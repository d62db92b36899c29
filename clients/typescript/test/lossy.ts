/** A connection that is lost just when a server has answered. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

const FRAME_HEADER_BYTES = 9;
const DATA = 0;

/** Forwards to a server. Instead of passing on the first `losses` responses, it cuts connections. */
export class LossyLink {
  /** How many responses were lost. */
  lost = 0;
  private readonly sockets = new Set<Socket>();
  private readonly listener = createServer((client) => this.forward(client));

  private constructor(
    private readonly port: number,
    private readonly losses: number,
    private readonly cut: (client: Socket) => void,
  ) {}

  /** `cut` ends the client's connection. */
  static async to(
    address: string,
    losses: number,
    cut: (client: Socket) => void,
  ): Promise<LossyLink> {
    const link = new LossyLink(Number(address.split(":").at(-1)), losses, cut);
    link.listener.listen(0, "127.0.0.1");
    await once(link.listener, "listening");
    return link;
  }

  get address(): string {
    return `127.0.0.1:${(this.listener.address() as AddressInfo).port}`;
  }

  close(): void {
    this.listener.close();
    this.sockets.forEach((socket) => socket.destroy());
  }

  private forward(client: Socket): void {
    const server = connect(this.port, "127.0.0.1");
    let unread = Buffer.alloc(0);
    for (const socket of [client, server]) {
      this.sockets.add(socket);
      socket.on("error", () => undefined);
    }
    client.pipe(server);
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
    server.on("data", (bytes: Buffer) => {
      unread = Buffer.concat([unread, bytes]);
      // HTTP/2 frames: three bytes of length, one of type, five more, then the content.
      while (unread.length >= FRAME_HEADER_BYTES) {
        const end = FRAME_HEADER_BYTES + unread.readUIntBE(0, 3);
        if (unread.length < end) return;
        if (unread[3] === DATA && this.lost < this.losses) {
          this.lost += 1;
          server.destroy();
          this.cut(client);
          return;
        }
        client.write(unread.subarray(0, end));
        unread = unread.subarray(end);
      }
    });
  }
}

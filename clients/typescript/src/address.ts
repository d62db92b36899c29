/** Addresses of servers: `host:port`, with an IPv6 host in brackets, or `unix:PATH`. */

export const DEFAULT_ADDRESS = "127.0.0.1:50051";

const UNIX = "unix:";
const HOST_AND_PORT = /^(?:dns:\/\/\/)?((?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5})$/;
/** A server may listen on every interface. For a client, that means loopback. */
const LOOPBACK: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "[::]": "[::1]" };

/** The text is not the address of a server. */
export class InvalidAddress extends Error {
  override readonly name = "InvalidAddress";
}

/** Where a client connects to. A socket in the file system also has an origin, for the requests. */
export interface Target {
  readonly origin: string;
  readonly socketPath?: string;
}

/** Read the address that a client connects to. Throws InvalidAddress. */
export function parseAddress(address: string): Target {
  if (address.startsWith(UNIX)) {
    const socketPath = address.slice(UNIX.length);
    if (/^\/*$/.test(socketPath)) {
      throw new InvalidAddress("the address is unix: and the path of a socket");
    }
    return { origin: "http://localhost", socketPath };
  }
  const hostAndPort = HOST_AND_PORT.exec(address)?.[1];
  if (hostAndPort === undefined || !URL.canParse(`http://${hostAndPort}`)) {
    throw new InvalidAddress(`the address is host:port, such as ${DEFAULT_ADDRESS}`);
  }
  const url = new URL(`http://${hostAndPort}`);
  if (url.port === "0") {
    throw new InvalidAddress(
      "port 0 makes a server choose a free port: name the port that it chose",
    );
  }
  url.hostname = LOOPBACK[url.hostname] ?? url.hostname;
  return { origin: url.origin };
}

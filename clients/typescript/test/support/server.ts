// A server with the answers of a test, reached over a real connection.

import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { type Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type ClientOptions, RunClient } from "@runsvc/client";
import { RunService } from "@runsvc/client/v1";

/** The answers of the server to the calls of a test. */
export type Answers = Partial<ServiceImpl<typeof RunService>>;

/** Start a server with these answers, and connect a client. Both are closed at the end of the test. */
export async function clientOf(
  test: TestContext,
  answers: Answers,
  options: ClientOptions = {},
): Promise<{ client: RunClient; cut: () => void; connections: () => number }> {
  const server = createServer(
    { settings: { maxConcurrentStreams: 250 } },
    connectNodeAdapter({ routes: (router) => router.service(RunService, answers) }),
  );
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  // Closes the sockets without GOAWAY, as if the server was killed.
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const client = new RunClient(`127.0.0.1:${(server.address() as AddressInfo).port}`, options);
  test.after(() => {
    client.close();
    cut();
    server.close();
  });
  return { client, cut, connections: () => sockets.size };
}

/** An error as a runsvc server sends it. */
export function refusal(code: Code, reason: string, metadata: Record<string, string> = {}): ConnectError {
  const writer = new BinaryWriter().tag(1, 2).string(reason).tag(2, 2).string("runsvc");
  for (const [key, value] of Object.entries(metadata)) writer.tag(3, 2).bytes(texts(key, value));
  return withDetail(new ConnectError("no", code), "ErrorInfo", writer.finish());
}

/** The error with one more google.rpc detail. */
export function withDetail(error: ConnectError, name: string, value: Uint8Array): ConnectError {
  error.details.push({ type: `google.rpc.${name}`, value });
  return error;
}

/** A message with texts in fields 1 and 2. */
export function texts(first: string, second: string): Uint8Array {
  return new BinaryWriter().tag(1, 2).string(first).tag(2, 2).string(second).finish();
}

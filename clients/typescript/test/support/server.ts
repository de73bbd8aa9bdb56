// A server whose answers a test makes up, reached over a real connection.

import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { type Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type ClientOptions, RunClient } from "@runsvc/client";
import { RunService } from "@runsvc/client/v1";

/** What a server of ours answers with, for the calls that a test makes. */
export type Answers = Partial<ServiceImpl<typeof RunService>>;

/** A client of a server that answers so, which ends with the test. */
export async function clientOf(
  test: TestContext,
  answers: Answers,
  options: ClientOptions = {},
): Promise<{ client: RunClient; cut: () => void }> {
  const server = createServer(
    connectNodeAdapter({ routes: (router) => router.service(RunService, answers) }),
  );
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  // Without a word, as a server that was killed.
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const client = new RunClient(`127.0.0.1:${(server.address() as AddressInfo).port}`, options);
  test.after(() => {
    client.close();
    cut();
    server.close();
  });
  return { client, cut };
}

/** An error as a server of ours tells it. */
export function refusal(code: Code, reason: string, metadata: Record<string, string> = {}): ConnectError {
  const writer = new BinaryWriter().tag(1, 2).string(reason).tag(2, 2).string("runsvc");
  for (const [key, value] of Object.entries(metadata)) writer.tag(3, 2).bytes(texts(key, value));
  return withDetail(new ConnectError("no", code), "ErrorInfo", writer.finish());
}

/** The same error with one more google.rpc detail. */
export function withDetail(error: ConnectError, name: string, value: Uint8Array): ConnectError {
  error.details.push({ type: `google.rpc.${name}`, value });
  return error;
}

/** A message whose fields 1 and 2 are texts. */
export function texts(first: string, second: string): Uint8Array {
  return new BinaryWriter().tag(1, 2).string(first).tag(2, 2).string(second).finish();
}

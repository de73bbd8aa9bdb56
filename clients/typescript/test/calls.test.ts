import assert from "node:assert/strict";
import { test } from "node:test";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { ConnectError, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import {
  Code,
  InvalidArgumentError,
  NotFoundError,
  RunClient,
  RunError,
  ThreadBusyError,
  UnavailableError,
} from "@runsvc/client";
import { type Answers, clientOf, refusal, texts, withDetail } from "./support/server.js";

const run = { runId: "run-1", threadId: "thread-1" };
const unavailable = () => refusal(Code.Unavailable, "STORE_UNAVAILABLE");

/** Answers that fail `failures` times, and the list of calls. */
function failing(failures: number, error = unavailable) {
  const calls: string[] = [];
  const answer = (name: string) => () => {
    calls.push(name);
    if (calls.length <= failures) throw error();
    return { run };
  };
  const answers: Answers = { get: answer("get"), create: answer("create"), cancel: answer("cancel") };
  return { answers, calls };
}

test("a refusal is thrown as its subclass, with the facts of the reason", async (test) => {
  const facts = { run_id: "run-1", thread_id: "thread-1", status: "RUNNING" };
  const { client } = await clientOf(test, {
    createOrReject: () => {
      throw refusal(Code.Aborted, "THREAD_BUSY", facts);
    },
  });
  await assert.rejects(client.createOrReject({ threadId: "thread-1" }), (error) => {
    assert(error instanceof ThreadBusyError);
    assert.deepEqual([error.code, error.reason, error.metadata], [Code.Aborted, "THREAD_BUSY", facts]);
    assert.equal(error.fromTransport, false);
    return true;
  });
});

test("an error has the invalid fields and the suggested delay", async (test) => {
  const violation = (field: string) =>
    new BinaryWriter().tag(1, 2).bytes(texts(field, "is required")).finish();
  const delay = new BinaryWriter().tag(1, 0).int64(1n).tag(2, 0).int32(500_000_000).finish();
  const { client } = await clientOf(test, {
    create: () => {
      const error = refusal(Code.InvalidArgument, "INVALID_REQUEST");
      withDetail(error, "BadRequest", Buffer.concat([violation("a"), violation("b")]));
      throw withDetail(error, "RetryInfo", new BinaryWriter().tag(1, 2).bytes(delay).finish());
    },
  });
  await assert.rejects(client.create({}), (error) => {
    assert(error instanceof InvalidArgumentError);
    assert.deepEqual(
      error.violations,
      ["a", "b"].map((field) => ({ field, description: "is required" })),
    );
    assert.equal(error.retryAfterMs, 1500);
    return true;
  });
});

test("the reason of another domain is ignored", async (test) => {
  const info = new BinaryWriter().tag(1, 2).string("QUOTA").tag(2, 2).string("example.com").finish();
  const { client } = await clientOf(test, {
    get: () => {
      throw withDetail(new ConnectError("no", Code.NotFound), "ErrorInfo", info);
    },
  });
  await assert.rejects(client.get("run-1"), (error) => error instanceof NotFoundError && error.reason === "");
});

test("the error of a generated stub can be converted", async (test) => {
  const { client } = await clientOf(test, {
    get: () => {
      throw refusal(Code.NotFound, "RUN_NOT_FOUND");
    },
  });
  await assert.rejects(client.stub.get({ runId: "run-1" }), (error) => {
    assert(error instanceof ConnectError);
    return RunError.from(error).reason === "RUN_NOT_FOUND";
  });
});

test("a read is retried while the server is unavailable", async (test) => {
  const { answers, calls } = failing(3);
  const { client } = await clientOf(test, answers);
  assert.equal((await client.get("run-1")).runId, "run-1");
  assert.equal(calls.length, 4);
});

test("a read is sent at most four times", async (test) => {
  const { answers, calls } = failing(9);
  const { client } = await clientOf(test, answers);
  await assert.rejects(client.get("run-1"), UnavailableError);
  assert.equal(calls.length, 4);
});

test("no attempt starts after the deadline", async (test) => {
  const { answers, calls } = failing(9);
  const { client } = await clientOf(test, answers, { timeoutMs: 20 });
  await assert.rejects(client.get("run-1"), RunError);
  assert(calls.length <= 1);
});

test("a creation is retried only with a request id", async (test) => {
  const { answers, calls } = failing(1);
  const { client } = await clientOf(test, answers);
  await assert.rejects(client.create({ threadId: "thread-1" }), UnavailableError);
  assert.equal(calls.length, 1);
  calls.length = 0;
  await client.create({ threadId: "thread-1" }, { requestId: "request-1" });
  assert.equal(calls.length, 2);
});

test("any other call is sent once", async (test) => {
  const { answers, calls } = failing(1);
  const { client } = await clientOf(test, answers);
  await assert.rejects(client.cancel("run-1"), UnavailableError);
  assert.equal(calls.length, 1);
});

test("other errors are not retried", async (test) => {
  const { answers, calls } = failing(1, () => refusal(Code.ResourceExhausted, "OVERLOADED"));
  const { client } = await clientOf(test, answers);
  await assert.rejects(client.get("run-1"), { reason: "OVERLOADED" });
  assert.equal(calls.length, 1);
});

test("a cancel that the caller did not ask for is UNAVAILABLE", async (test) => {
  const { answers, calls } = failing(1, () => new ConnectError("stopping", Code.Canceled));
  const { client } = await clientOf(test, answers);
  await assert.rejects(client.cancel("run-1"), { code: Code.Unavailable });
  calls.length = 0;
  assert.equal((await client.get("run-1")).runId, "run-1");
  assert.equal(calls.length, 2);
});

test("a read is sent again after the delay of an overloaded server", async (test) => {
  const delay = new BinaryWriter().tag(2, 0).int32(200_000_000).finish();
  const info = new BinaryWriter().tag(1, 2).bytes(delay).finish();
  const overloaded = () => withDetail(refusal(Code.ResourceExhausted, "OVERLOADED"), "RetryInfo", info);
  const { answers, calls } = failing(1, overloaded);
  const { client } = await clientOf(test, answers);
  await assert.rejects(client.cancel("run-1"), { reason: "OVERLOADED" });
  calls.length = 0;
  const start = performance.now();
  await client.get("run-1");
  assert(performance.now() - start >= 200);
  assert.equal(calls.length, 2);
});

const hanging = async (_: unknown, { signal }: HandlerContext) => {
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
  return {};
};

test("a call has its own deadline, or that of the client", async (test) => {
  const { client } = await clientOf(test, { get: hanging }, { timeoutMs: 30 });
  await assert.rejects(client.get("run-1"), { code: Code.DeadlineExceeded });
  await assert.rejects(client.get("run-1", { timeoutMs: 10 }), { code: Code.DeadlineExceeded });
  // A negative timeout has passed already; it does not mean "no deadline".
  await assert.rejects(client.get("run-1", { timeoutMs: -1 }), { code: Code.DeadlineExceeded });
});

test("an aborted call throws the reason of its signal", async (test) => {
  const { client } = await clientOf(test, { get: hanging });
  const giveUp = new AbortController();
  const call = client.get("run-1", { signal: giveUp.signal });
  giveUp.abort(new RangeError("enough"));
  await assert.rejects(call, RangeError);
});

test("a lost connection is UNAVAILABLE, independent of the code of the transport", async (test) => {
  const { client, cut } = await clientOf(test, {
    cancel: () => {
      cut();
      return new Promise(() => {});
    },
  });
  for (let round = 0; round < 20; round++) {
    await assert.rejects(client.cancel("run-1", { timeoutMs: 2_000 }), {
      code: Code.Unavailable,
      reason: "",
      fromTransport: true,
    });
  }
});

test("an unreachable server is UNAVAILABLE", async () => {
  const client = new RunClient("127.0.0.1:1");
  await assert.rejects(client.get("run-1"), { code: Code.Unavailable, fromTransport: true });
});

test("the token is sent with calls and watches, and requested each time", async (test) => {
  const seen: (string | null)[] = [];
  const see = (context: HandlerContext) => seen.push(context.requestHeader.get("authorization"));
  let tokens = 0;
  const token = async () => `token-${++tokens}`;
  const answers: Answers = {
    get: (_, context) => {
      see(context);
      return { run };
    },
    async *streamStatus(_, context) {
      see(context);
      yield {};
    },
  };
  const { client } = await clientOf(test, answers, { token });
  await client.get("run-1");
  for await (const _ of client.watch({ runId: "run-1" }));
  assert.deepEqual(seen, ["Bearer token-1", "Bearer token-2"]);
});

test("interceptors see every attempt and its result", async (test) => {
  const seen: string[] = [];
  const interceptor: Interceptor = (next) => async (request) => {
    try {
      return await next(request);
    } catch (error) {
      seen.push(`${request.method.name} ${RunError.from(error).reason}`);
      throw error;
    }
  };
  const { answers } = failing(2);
  const { client } = await clientOf(test, answers, { interceptors: [interceptor] });
  await client.get("run-1");
  assert.deepEqual(seen, ["Get STORE_UNAVAILABLE", "Get STORE_UNAVAILABLE"]);
});

test("a page is requested when its first run is needed", async (test) => {
  const tokens: string[] = [];
  const { client } = await clientOf(test, {
    listByThread: ({ pageToken, pageSize }) => {
      assert.equal(pageSize, 2);
      tokens.push(pageToken);
      const runs = [`a${pageToken}`, `b${pageToken}`].map((runId) => ({ runId }));
      return { runs, nextPageToken: pageToken.length < 2 ? `${pageToken}x` : "" };
    },
  });
  const ids: string[] = [];
  for await (const { runId } of client.listByThread("thread-1", { pageSize: 2 })) ids.push(runId);
  assert.deepEqual(ids, ["a", "b", "ax", "bx", "axx", "bxx"]);
  tokens.length = 0;
  for await (const _ of client.listByThread("thread-1", { pageSize: 2 })) break;
  assert.deepEqual(tokens, [""]);
});

test("closing a client ends its open calls and rejects later ones", async (test) => {
  const { client } = await clientOf(test, { get: hanging });
  const call = client.get("run-1");
  setImmediate(() => client.close());
  await assert.rejects(call, { message: /closed/ });
  await assert.rejects(client.get("run-1"), { message: /closed/ });
});

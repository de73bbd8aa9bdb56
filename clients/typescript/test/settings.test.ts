import assert from "node:assert/strict";
import { test } from "node:test";
import { settingsOf } from "../src/settings.js";

test("every option has a default", () => {
  assert.deepEqual(settingsOf(undefined, {}, {}), {
    baseUrl: "http://127.0.0.1:50051",
    token: undefined,
    certificates: undefined,
    timeoutMs: 10_000,
    interceptors: [],
  });
});

test("the environment supplies the options that are left out", () => {
  const environment = { RUNSVC_TARGET: "runs:1", RUNSVC_TOKEN: "secret", RUNSVC_TIMEOUT: "0.5" };
  const settings = settingsOf(undefined, {}, environment);
  assert.deepEqual([settings.baseUrl, settings.token, settings.timeoutMs], ["http://runs:1", "secret", 500]);
});

test("null ignores the variable", () => {
  const environment = {
    RUNSVC_TARGET: "runs:1",
    RUNSVC_TOKEN: "secret",
    RUNSVC_TIMEOUT: "0.5",
    RUNSVC_TLS_CA: "/nowhere",
  };
  const settings = settingsOf(null, { token: null, timeoutMs: null, tlsCa: null }, environment);
  assert.deepEqual(settings, settingsOf(undefined, {}, {}));
});

test("an empty variable counts as unset", () => {
  const environment = { RUNSVC_TARGET: "", RUNSVC_TOKEN: "", RUNSVC_TIMEOUT: "", RUNSVC_TLS_CA: "" };
  assert.deepEqual(settingsOf(undefined, {}, environment), settingsOf(undefined, {}, {}));
});

test("certificates switch TLS on", () => {
  const settings = settingsOf("runs:1", { tlsCa: Buffer.from("PEM") }, {});
  assert.deepEqual([settings.baseUrl, settings.certificates], ["https://runs:1", Buffer.from("PEM")]);
  assert.throws(() => settingsOf("runs:1", { tlsCa: "/nowhere" }, {}), { code: "ENOENT" });
});

for (const target of ["dns:///runs:1", "runs:1", "[::1]:1", "ipv4:127.0.0.1:1"]) {
  test(`${target} is a valid target`, () =>
    assert.match(settingsOf(target, {}, {}).baseUrl, /^http:\/\/.*:1$/));
}

for (const target of ["runs", "http://runs:1", "runs:1/path", "runs:70000", ":1", "a b:1"]) {
  test(`${target} is an invalid target`, () => assert.throws(() => settingsOf(target, {}, {}), RangeError));
}

for (const seconds of ["soon", "0", "-1", "Infinity"]) {
  test(`RUNSVC_TIMEOUT=${seconds} is refused`, () =>
    assert.throws(() => settingsOf(undefined, {}, { RUNSVC_TIMEOUT: seconds }), /RUNSVC_TIMEOUT/));
}

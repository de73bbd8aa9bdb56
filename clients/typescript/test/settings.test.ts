import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClientOptions } from "@runsvc/client";
import { settingsOf } from "../src/settings.js";

/** The settings without their functions, which deepEqual cannot compare, and the token. */
function valuesOf(target?: string | null, options: ClientOptions = {}, environment: NodeJS.ProcessEnv = {}) {
  const { credential, ...settings } = settingsOf(target, options, environment);
  return { ...settings, token: credential.token() };
}

test("every option has a default", () => {
  assert.deepEqual(valuesOf(), {
    baseUrl: "http://127.0.0.1:50051",
    socketPath: undefined,
    token: "",
    tls: undefined,
    timeoutMs: 10_000,
    interceptors: [],
  });
});

test("the environment supplies the options that are left out", () => {
  const environment = { RUNSVC_TARGET: "runs:1", RUNSVC_TOKEN: "secret", RUNSVC_TIMEOUT: "0.5" };
  const settings = valuesOf(undefined, {}, environment);
  assert.deepEqual([settings.baseUrl, settings.token, settings.timeoutMs], ["http://runs:1", "secret", 500]);
});

test("null ignores the variable", () => {
  const environment = {
    RUNSVC_TARGET: "runs:1",
    RUNSVC_TOKEN: "secret",
    RUNSVC_TIMEOUT: "0.5",
    RUNSVC_TLS_CA: "/nowhere",
    RUNSVC_TLS_CERT: "/nowhere",
    RUNSVC_TLS_KEY: "/nowhere",
  };
  const nothing = { token: null, timeoutMs: null, tlsCa: null, tlsCert: null, tlsKey: null };
  assert.deepEqual(valuesOf(null, nothing, environment), valuesOf());
});

test("an empty variable counts as unset", () => {
  const environment = { RUNSVC_TARGET: "", RUNSVC_TOKEN: "", RUNSVC_TIMEOUT: "", RUNSVC_TLS_CA: "" };
  assert.deepEqual(valuesOf(undefined, {}, environment), valuesOf());
});

test("certificates switch TLS on", () => {
  const settings = settingsOf("runs:1", { tlsCa: Buffer.from("PEM") }, {});
  assert.deepEqual([settings.baseUrl, settings.tls?.()], ["https://runs:1", { ca: Buffer.from("PEM") }]);
  assert.throws(() => settingsOf("runs:1", { tlsCa: "/nowhere" }, {}), { code: "ENOENT" });
});

test("a certificate of the client and its key belong together", () => {
  const pem = Buffer.from("PEM");
  assert.deepEqual(settingsOf("runs:1", { tlsCert: pem, tlsKey: pem }, {}).tls?.(), { cert: pem, key: pem });
  assert.throws(() => settingsOf("runs:1", { tlsCert: pem }, {}), /belong together/);
  assert.throws(() => settingsOf("runs:1", { tlsKey: pem }, {}), /belong together/);
});

test("a socket of this machine is a target without TLS", () => {
  for (const [target, path] of [
    ["unix:/run/r.sock", "/run/r.sock"],
    ["unix:///run/r.sock", "/run/r.sock"],
    ["unix:r.sock", "r.sock"],
  ]) {
    assert.equal(settingsOf(target, {}, {}).socketPath, path);
  }
  const tlsCa = Buffer.from("PEM");
  assert.throws(() => settingsOf("unix:/run/r.sock", { tlsCa }, {}), /not encrypted/);
});

test("the token comes from one source", () => {
  const both = { RUNSVC_TOKEN: "secret", RUNSVC_TOKEN_FILE: "/nowhere" };
  assert.throws(() => settingsOf(undefined, {}, both), /both set/);
  assert.throws(() => settingsOf(undefined, { token: "t", tokenFile: "/nowhere" }, {}), /both set/);
  assert.equal(valuesOf(undefined, { token: "explicit" }, both).token, "explicit");
  assert.equal(valuesOf(undefined, { token: null }, both).token, "");
  assert.equal(valuesOf(undefined, { tokenFile: null }, both).token, "secret");
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

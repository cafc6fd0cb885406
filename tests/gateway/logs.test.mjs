// SPDX-License-Identifier: Apache-2.0
// What goes to stdout: docs/logs.md names every key.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sleep, withGateway } from "./lib.mjs";

const close = "Connection: close\r\n";
const requests = (gateway) => gateway.lines.filter((l) => l.type === "request");

async function logged(gateway, bytes) {
  const from = gateway.lines.length;
  await gateway.raw(bytes, { end: false });
  return gateway.line((l) => l.type === "request", { from, what: "request" });
}

test("a request's line says who asked for what, and what it got", () =>
  withGateway({}, async (gateway) => {
    const before = Date.now();
    const { time_ms, request_id, ms, cpu_us, ...rest } = await logged(
      gateway,
      `POST /count?a=1&b=%22 HTTP/1.1\r\nHost: shop.test:8080\r\nUser-Agent: probe/1.0 (x)\r\nReferer: http://from.test/\r\nContent-Length: 5\r\n${close}\r\nhello`,
    );
    assert.ok(time_ms >= before && time_ms <= Date.now());
    assert.match(request_id, /^[0-9a-f]{16}$/);
    assert.equal(typeof ms, "number");
    assert.equal(typeof cpu_us, "number");
    assert.deepEqual(rest, {
      type: "request",
      worker: "one",
      client: "127.0.0.1",
      method: "POST",
      host: "shop.test:8080",
      path: "/count",
      query: "a=1&b=%22",
      protocol: "HTTP/1.1",
      status: 200,
      bytes_in: 5,
      bytes: 1,
      user_agent: "probe/1.0 (x)",
      referer: "http://from.test/",
    });
    const plain = await logged(gateway, "GET /json HTTP/1.0\r\n\r\n");
    assert.deepEqual([plain.protocol, plain.host, "query" in plain, "user_agent" in plain, "referer" in plain, plain.bytes_in], ["HTTP/1.0", "localhost", false, false, false, 0]);
    const streamed = await logged(gateway, `POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n${close}\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n`);
    assert.deepEqual([streamed.bytes_in, streamed.bytes], [7, 7]);
  }));

test("what clients say stays within its value", () =>
  withGateway({}, async (gateway) => {
    const evil = '","status":999,"x":"\\';
    const line = await logged(gateway, `GET /p${evil.replaceAll("\\", "")}?${evil} HTTP/1.1\r\nHost: a\r\nUser-Agent: ${evil}\t\xff\xfe\r\nReferer: ${evil}\r\n${close}\r\n`);
    assert.equal(line.status, 200);
    assert.deepEqual([line.user_agent, line.referer, line.query], [`${evil}\t\ufffd\ufffd`, evil, evil]);
    assert.equal(line.path, `/p${evil.replaceAll("\\", "")}`);
    const asset = await logged(gateway, `TRACE /"} HTTP/1.1\r\nHost: a\r\nUser-Agent: ${evil}\r\n\r\n`);
    assert.deepEqual([asset.status, asset.path, asset.user_agent], [405, '/"}', evil]);
    assert.ok(gateway.lines.every((l) => !("x" in l)));
  }));

test("answers of our own tell their bytes, and CPU time is told where it is known", () =>
  withGateway({ worker: { limits: { request_body_bytes: 10, wall_ms: 300 } } }, async (gateway) => {
    const body = async (bytes) => {
      const from = gateway.lines.length;
      const text = await gateway.raw(bytes, { end: false });
      const line = await gateway.line((l) => l.type === "request", { from });
      assert.equal(line.bytes, text.length - text.indexOf("\r\n\r\n") - 4, bytes);
      assert.match(line.request_id, /^[0-9a-f]{16}$/);
      return line;
    };
    const get = (path, method = "GET", more = "") => `${method} ${path} HTTP/1.1\r\nHost: a\r\n${close}${more}\r\n`;
    const thrown = await body(get("/error"));
    assert.deepEqual([thrown.status, thrown.cpu_us], [500, 77]);
    assert.equal((await body(get("/error", "HEAD"))).bytes, 0);
    assert.equal("cpu_us" in (await body(get("/crash"))), false);
    assert.equal((await body(get("/silent"))).status, 504);
    assert.equal((await body(get("/count", "POST", "Content-Length: 11\r\n"))).status, 413);
    assert.equal((await body(get("/count", "POST", "Transfer-Encoding: chunked\r\n") + "b\r\nhello world\r\n")).status, 413);
    assert.equal((await body(get("/x", "TRACE"))).status, 405);
    assert.equal((await body(get("/error?pass=1"))).status, 500); // there are no assets to pass to
    const bad = await body("no request\r\n\r\n");
    assert.deepEqual([bad.status, bad.worker, bad.client, "method" in bad, "path" in bad], [400, null, "127.0.0.1", false, false]);
    assert.equal((await body(get("/x", "GET", `X: ${"y".repeat(140000)}\r\n`))).status, 431);
    assert.equal(new Set(requests(gateway).map((l) => l.request_id)).size, requests(gateway).length);
  }));

test("a file's line", () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-logs-"));
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, "file.txt"), "0123456789");
  return withGateway({ worker: { assets: { directory, html_handling: "none", not_found_handling: "none" } } }, async (gateway) => {
    const line = await logged(gateway, `GET /file.txt?v=1 HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n${close}\r\n`);
    assert.deepEqual([line.status, line.bytes, line.path, line.query, line.user_agent, line.client, "cpu_us" in line], [200, 10, "/file.txt", "v=1", "x", "127.0.0.1", false]);
    assert.equal((await logged(gateway, `HEAD /file.txt HTTP/1.1\r\nHost: a\r\n${close}\r\n`)).bytes, 0);
  }).finally(() => rmSync(directory, { recursive: true }));
});

test("console, exception and scheduled lines carry time and request", () =>
  withGateway({}, async (gateway) => {
    const before = Date.now();
    const request = await logged(gateway, `GET /log HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    const line = gateway.lines.find((l) => l.type === "console");
    assert.equal(line.request_id, request.request_id);
    const failed = await logged(gateway, `GET /error HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    const exception = gateway.lines.find((l) => l.type === "exception");
    assert.equal(exception.request_id, failed.request_id);
    gateway.command("event 1 fail");
    const scheduled = await gateway.line((l) => l.type === "scheduled");
    assert.match(scheduled.request_id, /^[0-9a-f]{16}$/);
    for (const { time_ms } of [line, exception, scheduled]) assert.ok(time_ms >= before && time_ms <= Date.now());
  }));

test("a crash tells which requests it hit", () =>
  withGateway({ access_log: "text", worker: { scale: { max_instances: 1 } } }, async (gateway) => {
    const get = (path) => gateway.get(path).catch(() => {});
    await get("/json");
    const waits = get("/wait?ms=3000"), slow = get("/sleep?ms=3000");
    await sleep(100);
    await get("/crash");
    await gateway.line((l) => l.text === "✘ [ERROR] The worker's process crashed (signal 11): GET /wait?ms=3000 (after its answer), GET /sleep?ms=3000, GET /crash");
    await Promise.all([waits, slow]);
    const many = Array.from({ length: 7 }, (_, i) => get(`/sleep?ms=3000&i=${i}`));
    await sleep(200);
    await get("/exit");
    await gateway.line((l) => /ended by itself \(code 3\): GET .*, GET .*, GET .*, GET .*, GET .* and 3 more$/.test(l.text ?? ""));
    await Promise.all(many);
  }));

test("a limit tells which request it ended", () =>
  withGateway({ access_log: "text", worker: { limits: { wall_ms: 200, cpu_ms: 100 }, scale: { max_instances: 1 } } }, async (gateway) => {
    await gateway.get("/silent");
    await gateway.line((l) => l.text === "✘ [ERROR] The worker did not answer within its time limit: GET /silent");
    await gateway.get("/cpu?a");
    await gateway.line((l) => l.text === "✘ [ERROR] Error: <boom>: GET /cpu?a");
    await gateway.get("/block?ms=60000");
    await gateway.line((l) => l.text?.startsWith("✘ [ERROR] The worker's process was ended: it does not react: GET /block?ms=60000"));
  }));

test("the same for programs: a line a request", () =>
  withGateway({ worker: { scale: { max_instances: 1 } } }, async (gateway) => {
    const slow = gateway.get("/sleep?ms=3000");
    await gateway.event("spawn");
    await sleep(100);
    await gateway.get("/crash");
    await slow;
    const exceptions = () => gateway.lines.filter((l) => l.type === "exception");
    while (exceptions().length < 2 || requests(gateway).length < 2) await sleep(10); // the answers are there before the lines
    const crashed = exceptions();
    assert.deepEqual(crashed.map((l) => [l.code, l.message]), [1, 2].map(() => [1101, "The worker's process crashed (signal 11)"]));
    assert.deepEqual(crashed.map((l) => l.request_id).sort(), requests(gateway).map((l) => l.request_id).sort());
    await gateway.get("/json");
    const from = gateway.lines.length;
    gateway.command("kill-instances");
    const idle = await gateway.line((l) => l.type === "exception", { from });
    assert.deepEqual([idle.request_id, idle.message], [null, "The worker's process crashed (signal 9)"]);
  }));

test("docs/logs.md names every key", () =>
  withGateway({}, async (gateway) => {
    await logged(gateway, `GET /log?q HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\nReferer: y\r\n${close}\r\n`);
    await logged(gateway, `GET /error HTTP/1.1\r\nHost: a\r\n${close}\r\n`);
    gateway.command("event 1 fail");
    await gateway.line((l) => l.type === "scheduled");
    const documented = readFileSync(new URL("../../docs/logs.md", import.meta.url), "utf8");
    for (const line of gateway.lines.filter((l) => l.type)) for (const key of Object.keys(line)) assert.ok(documented.includes(`\`${key}\``), `${line.type}: ${key}`);
  }));

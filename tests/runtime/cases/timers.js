// SPDX-License-Identifier: Apache-2.0
//// driver
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
test("timers run in the order of their time, microtasks between them", async () => {
  const order = [];
  // Far enough apart for a machine that pauses between these lines.
  setTimeout(() => order.push("b"), 200);
  setTimeout(() => { order.push("a"); queueMicrotask(() => order.push("micro")); }, 100);
  setTimeout(() => order.push("a2"), 100);
  setTimeout(() => order.push("now"), 0);
  setTimeout(() => order.push("negative"), -1);
  queueMicrotask(() => order.push("first"));
  await rest(250);
  equal(order, ["first", "now", "negative", "a", "micro", "a2", "b"]);
});
test("arguments, this, and never too early", async () => {
  const begin = performance.now();
  const got = await new Promise((resolve) => setTimeout(function (...args) { resolve([args, this === globalThis || this === undefined]); }, 5, 1, 2));
  equal(got, [[1, 2], true]);
  ok(performance.now() - begin >= 5, "too early");
});
test("intervals repeat until they are cleared, also by themselves", async () => {
  let count = 0;
  const timer = setInterval(() => { if (++count === 3) clearInterval(timer); }, 1);
  await rest(15);
  equal(count, 3);
});
test("clearing twice, or nothing", async () => {
  let ran = false;
  const timer = setTimeout(() => { ran = true; }, 1);
  clearTimeout(timer);
  clearTimeout(timer);
  clearTimeout(undefined);
  clearTimeout("x");
  await rest(5);
  equal(ran, false);
});
test("many timers", async () => {
  const fired = [], timers = [];
  for (let i = 0; i < 200; i++) {
    const ms = (i * 7) % 13, due = performance.now() + ms; // making them takes a while, too
    timers.push(setTimeout(() => fired.push(due), ms));
  }
  for (let i = 0; i < 200; i += 3) clearTimeout(timers[i]);
  while (fired.length < 133) await rest(5);
  await rest(20);
  equal(fired.length, 133);
  ok(fired.every((due, i) => i === 0 || fired[i - 1] <= due + 5), "out of order");
});
test("a callback that throws is reported, the next one runs", async () => {
  const before = gateway.logs.length;
  let ran = false;
  setTimeout(() => { throw new Error("from a timer"); }, 1);
  setTimeout(() => { ran = true; }, 2);
  await rest(6);
  ok(ran);
  match(gateway.logs[before].text, /^Uncaught Error: from a timer/);
});
test("what is not a function is refused", () => {
  throws(() => setTimeout("x"), /^TypeError/);
  throws(() => setInterval(), /^TypeError/);
  throws(() => queueMicrotask(1), /^TypeError/);
});
test("scheduler.wait", async () => {
  await scheduler.wait(1);
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 1);
  await rejects(scheduler.wait(1000, { signal: controller.signal }), /^AbortError/);
  await rejects(scheduler.wait(1, { signal: AbortSignal.abort() }), /^AbortError/);
});

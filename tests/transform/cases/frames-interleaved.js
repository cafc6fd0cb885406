//// index.js
import { AsyncLocalStorage } from "node:async_hooks";
import { work, query } from "./work.js";
const requests = new AsyncLocalStorage();
const other = new AsyncLocalStorage();
export const id = () => requests.getStore();
const out = [];
function check(where, n) { if (id() !== n) log("WRONG", where, id(), n); else out.push(where) }
const turn = (turns) => new Promise((resolve) => later(turns, resolve));
const failing = async (turns) => { await turn(turns); throw new Error("failed") };
class Resource {
  async *rows(n, turns) {
    check("rows start", n);
    try {
      for (let i = 0; i < 3; i++) {
        await turn(turns);
        check("row", n);
        yield i;
        check("after yield", n);
        yield turn(1);
        check("after yielding a promise", n);
      }
    } finally {
      check("rows finally", n);
      await turn(turns);
      check("rows finally after await", n);
    }
  }
  static make = async () => { await turn(1); return new Resource() };
  #private = async (n) => { await turn(2); check("private arrow", n) };
  async run(n) { await this.#private(n) }
}
async function request(n) {
  check("entry", n);
  await turn(n % 3 + 1);
  check("after await", n);
  const value = (await turn(1), await Promise.resolve(n)) + (await n);
  check("in expression", n);
  if (value !== 2 * n) log("WRONG value", value);
  try { await failing(n % 4 + 1); } catch (error) { check("catch", n); await turn(1); check("catch after await", n) } finally { check("finally", n) }
  try { await failing(1) } catch { check("bare catch", n) }
  await failing(2).catch(() => check("catch()", n));
  await turn(2).then(() => check("then()", n)).then(async () => { await turn(1); check("async then", n) });
  await turn(1).finally(() => check("finally()", n));
  check("after promises", n);
  const resource = await Resource.make();
  await resource.run(n);
  for await (const row of resource.rows(n, n % 2 + 1)) { check("for await body", n); await turn(1); check("for await after", n) }
  check("after for await", n);
  outer: for (let i = 0; i < 2; i++) {
    inner: for await (const row of resource.rows(n, 1)) { if (i) break outer; continue outer }
    log("never");
  }
  check("after labelled break", n);
  for await (const row of [turn(1), turn(2)]) check("sync iterable", n)
  check("after it", n);
  for await (const x of (async function* () { yield* [1, turn(1)]; yield* resource.rows(n, 1) })()) if (x === 1) continue; else check("delegated", n);
  const results = await Promise.all([1, 2, 3].map(async (i) => { await turn(i); check("all", n); return id() }));
  if (results.some((r) => r !== n)) log("WRONG all", results);
  await Promise.race([turn(1), turn(3)]); check("race", n);
  const rows = resource.rows(n, 1); await rows.next(); await rows.return(); check("return()", n);
  const thrown = resource.rows(n, 1); await thrown.next();
  try { await thrown.throw(new Error("into")) } catch { check("throw()", n) }
  if (await query(n) !== n) log("WRONG thenable");
  if (await (async () => query(n))() !== n) log("WRONG thenable concise");
  if (await (async () => { return query(n) })() !== n) log("WRONG thenable return");
  check("thenable", n);
  await requests.run(n + 1000, async () => { check("nested", n + 1000); await turn(2); check("nested after", n + 1000) });
  check("after nested", n);
  await requests.exit(async () => { check("exit", undefined); await turn(1); check("exit after", undefined) });
  await other.run("other", async () => { await turn(1); check("both", n); if (other.getStore() !== "other") log("WRONG other") });
  if (other.getStore() !== undefined) log("WRONG other leaks");
  later(2, () => check("callback", n));
  await new Promise((resolve) => later(1, () => { check("callback 2", n); resolve() }));
  const snapshot = AsyncLocalStorage.snapshot(), bound = AsyncLocalStorage.bind(() => id());
  await requests.run("elsewhere", async () => { await turn(1); snapshot(() => check("snapshot", n)); if (bound() !== n) log("WRONG bound") });
  const o = { async method() { await turn(1); check("method", n); return await (await turn(1), this) }, get async() { return 1 } };
  if (await o.method() !== o) log("WRONG this");
  await work(n, check, turn);
  const w = async (x = check("default parameter", n)) => { await turn(1); check("w", n) }; await w(); const w2 = async () => { "use strict"; await turn(1); check("directive", n) }; await w2();
  switch (await turn(1), n) { case await n: check("switch", n) }
  do { await turn(1) } while ((check("do", n), false));
  for (let i = await 0; i < await 1; i += await 1) check("for", n);
  while (await (async () => { await turn(1); return false })()) ;
  check("while", n);
  label: { await turn(1); break label }
  if (await turn(1)); else check("else", n);
  check(`${await turn(1)}` && "template", n);
  const [a = await turn(1), { b } = { b: await 5 }] = [];
  check("patterns", n);
  await turn(1)
  await turn(1)
  check("end", n);
  return id();
}
log(await Promise.all([1, 2, 3, 4, 5, 6].map((n) => requests.run(n, () => request(n)))));
log(requests.getStore(), out.length, [...new Set(out)].length);
//// work.js
export async function work(n, check, turn) {
  check("other module", n);
  await turn(3);
  check("other module after", n);
}
import { id } from "./index.js";
// A thenable that works when it is awaited, as query builders do.
export const query = (n) => ({
  n,
  then(resolve, reject) {
    return id() === this.n ? Promise.resolve(id()).then(resolve, reject) : reject(new Error(`thenable in frame ${id()}`));
  },
});

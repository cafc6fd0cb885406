//// index.js
import { AsyncLocalStorage } from "async_hooks"
const als = new AsyncLocalStorage()
const p = (v) => new Promise((r) => later(1, () => r(v)))
async function f() {
  let a = 1
  await p(1)
  let b = a
  await (p(2))
  await p(3), await p(4)
  let c = await(p(5)), d = await[6], e = await`t${await p(7)}`
  const g = async () => ({ v: await p(8) })
  const h = async () => await p(9)
  const i = async x => x
  const j = async x => (x, await x, await x)
  const k = async () => { return(p(10)) }
  const l = async () => { return 1, p(11) }
  const m = async () => [await p(1), ...await p([2, 3])]
  const n = async ({ x = 1 } = {}, ...y) => -await p(x) + (await p(2)) ** 2
  const o = async () => typeof await p(1) + typeof void await p(1)
  const q = async () => new (await p(Array))(3).length
  const r = async () => (await p(Array)).of(...(await p([1])))
  const s = async () => { try { return await p(1) } finally { await p(2) } }
  const t = async () => { try { throw await p(1) } catch ({ x = 3 }) { return x } }
  const u = async () => { if (await p(0)) await p(1); else await p(2); return 3 }
  const v = async () => { for (const x of await p([1])) for await (const y of [x]) await p(y); return 4 }
  const w = async () => { a: b: for await (const x of [1, 2]) { for await (const y of [1, 2]) { if (y === 2) continue a; await p(y) } } return 5 }
  const x = async () => { "use strict"
    await p(1)
    return 6 }
  const y = async () => await (await (await (await p(p))(p)))(7)
  const z = async () => ((await p(0)) || (await p(null))) ?? await p(8)
  log(b, c, d, e)
  log(await g(), await h(), await i(1), await j(2), await k(), await l(), await m(), await n(), await o(), await q())
  log(await r(), await s(), await t(), await u(), await v(), await w(), await x(), await y(), await z())
  await p(1); { await p(1) }
  async function* gen() { const x = yield; log("sent", x); yield* inner(); yield await p(3); const y = yield p(4); log(yield yield 5); try { yield 6 } finally { log("closed") } }
  async function* inner() { yield 1; yield 2; return 3 }
  const it = gen(); log(await it.next("dropped"), await it.next("x"))
  for await (const v of it) { log(v); if (v === 6) break }
  log(await it.next())
  const queued = inner(); log(await Promise.all([queued.next(), queued.next(), queued.next(), queued.next()]))
  class A { async m() { await p(1); return super.toString === Object.prototype.toString && this instanceof A } static async *[`g`]() { yield await p(1) } async #x() { return await p(2) } x() { return this.#x() } }
  log(await new A().m(), await A.g().next(), await new A().x())
  log(await (async function named() { await p(1); return named.name + arguments.length })(1, 2))
  log(await (async () => { try { await Promise.reject(new TypeError("no")) } catch (e) { return e } })())
  const thenable = { get then() { return (r) => r("thenable " + als.getStore()) } }
  log(await als.run("in", async () => await thenable), await thenable, await als.run("in", async () => thenable))
  class Sub extends Promise {} ; log(await Sub.resolve(1), (await Promise.resolve(Sub.resolve(2))))
  const { then } = Promise.prototype; log(then.name, Object.getOwnPropertyDescriptor(Promise.prototype, "then").enumerable, (async () => {})().constructor === Promise)
}
const z = (await 0, 1) || await 0
await f()
const nested = async () => async () => async () => { await 0; return als.getStore() }
log(await als.run(1, async () => (await (await nested())())()), z)
try { als.enterWith } catch {}
const sync = (function* () { yield als.getStore(); yield als.getStore() })();
log(als.run(1, () => sync.next().value), als.run(2, () => sync.next().value))

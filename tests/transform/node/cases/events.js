import EventEmitter, { once, on, getEventListeners, errorMonitor, setMaxListeners, listenerCount, EventEmitterAsyncResource, addAbortListener } from "node:events";
import * as all from "events";
const e = new EventEmitter();
log(e instanceof EventEmitter.EventEmitter, EventEmitter === all.default, EventEmitter.defaultMaxListeners);
e.on("a", (...args) => log("a", args)); e.once("a", () => log("once")); e.prependListener("a", function () { log("first", this === e) });
log(e.emit("a", 1, 2), e.emit("a"), e.emit("none"), e.listenerCount("a"), e.eventNames(), getEventListeners(e, "a").length, listenerCount(e, "a"));
try { e.emit("error", new Error("unhandled")) } catch (error) { log(error.message) }
try { e.emit("error", { odd: 1 }) } catch (error) { log(error.message.split("\n")[0]) }
e.on(errorMonitor, (error) => log("monitor", error.message)); e.on("error", (error) => log("handled", error.message)); e.emit("error", new Error("x"));
e.on("newListener", (name) => log("new", name)); const f = () => {}; e.on("b", f); e.on("removeListener", (name) => log("removed", name)); e.off("b", f); e.removeAllListeners("a"); log(e.rawListeners("a"));
setTimeout(() => e.emit("later", 1, 2), 1); log(await once(e, "later"));
setTimeout(() => e.emit("error", new Error("rejects")), 1); try { await once(e, "never") } catch (error) { log(error.message) }
const aborter = new AbortController(); setTimeout(() => aborter.abort(), 1); try { await once(e, "never", { signal: aborter.signal }) } catch (error) { log(error.name, error.code) }
setTimeout(() => { for (const i of [1, 2, 3]) e.emit("tick", i) }, 1);
for await (const [i] of on(e, "tick")) { log(i); if (i === 3) break }
const target = new EventTarget(); setTimeout(() => target.dispatchEvent(new Event("t")), 1); log((await once(target, "t"))[0].type);
setMaxListeners(5, e); log(e.getMaxListeners());
class Mine extends EventEmitter { constructor() { super(); this.on("x", () => log("mine")) } } new Mine().emit("x");
addAbortListener(aborter.signal, () => log("abort listener")); await 0;
try { e.on("x", 5) } catch (error) { log(error.name, error.code) }
log(typeof EventEmitterAsyncResource, new EventEmitterAsyncResource({ name: "n" }).emit("z"));
// By the number of arguments, of listeners, and what they see of each other.
{
  const e = new EventEmitter(), seen = [];
  e.on("one", function (...args) { seen.push(this === e, args.length, args); });
  for (let i = 0; i < 6; i++) seen.push(e.emit("one", ...[1, 2, 3, 4, 5].slice(0, i)));
  const late = () => seen.push("late");
  e.on("grows", () => { e.on("grows", late); e.removeListener("one", late); });
  seen.push(e.emit("grows"), e.emit("grows"), e.emit("nobody"), e.emit("__proto__"), e.emit());
  e.once("once", (value) => seen.push(value, e.emit("once", "again")));
  seen.push(e.emit("once", "first"), e.emit("once"));
  e.once(undefined, (...args) => seen.push(args.length));
  seen.push(e.emit(), EventEmitter.prototype.emit.length);
  log(JSON.stringify(seen));
}

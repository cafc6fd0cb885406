import stream, { Readable, Writable, Transform, Duplex, PassThrough, pipeline, finished, addAbortSignal, compose } from "node:stream";
import { pipeline as pipelinePromise, finished as finishedPromise } from "node:stream/promises";
import { text, json, buffer } from "node:stream/consumers";
import { StringDecoder } from "node:string_decoder";
import EventEmitter from "node:events";
import { Buffer as B } from "node:buffer";
log(stream === stream.Stream, stream.Readable === Readable, new Readable() instanceof EventEmitter, Buffer === B);
const upper = () => new Transform({ transform(chunk, encoding, done) { done(null, `${chunk}`.toUpperCase()) } });
log(await text(Readable.from(["a", "b"]).pipe(upper())), await json(Readable.from(['{"a":', "1}"])), await buffer(Readable.from([Buffer.from("x"), Buffer.from("y")])));
const chunks = []; await pipelinePromise(Readable.from(["x", "y", "z"]), async function* (source) { for await (const c of source) yield `${c}!` }, new Writable({ write(c, e, done) { chunks.push(`${c}`); done() } })); log(chunks);
await new Promise((resolve) => pipeline(Readable.from(["a"]), new Transform({ transform(c, e, done) { done(new Error("broken")) } }), new PassThrough(), (error) => { log(error.message); resolve() }));
const r = new Readable({ read() {} }); r.push("one"); r.push("two"); r.push(null); r.setEncoding("utf8"); for await (const c of r) log(c);
const o = Readable.from([1, 2, 3, 4]); log(await o.filter((x) => x % 2).map(async (x) => x * 10).toArray(), await Readable.from([1, 2, 3]).reduce((a, b) => a + b), await Readable.from([1, 2, 3]).take(2).toArray());
const w = new Writable({ highWaterMark: 3, write(c, e, done) { setTimeout(done, 1) } }); log(w.write("ab"), w.write("cd"), w.writableLength, w.writableNeedDrain); w.once("drain", () => log("drain")); w.end(); await finishedPromise(w); log(w.writableFinished);
const d = new Duplex({ read() { this.push("from duplex"); this.push(null) }, write(c, e, done) { log("to duplex", `${c}`); done() } }); d.end("x"); log(await text(d));
const dead = new Readable({ read() {} }); dead.destroy(new Error("dead")); try { await finishedPromise(dead) } catch (error) { log(error.message) }
const aborter = new AbortController(); const slow = addAbortSignal(aborter.signal, new Readable({ read() {} })); setTimeout(() => aborter.abort(), 1); try { for await (const c of slow); } catch (error) { log(error.name, error.code) }
const decoder = new StringDecoder("utf8"); log(decoder.write(Buffer.from([0xe2, 0x82])), decoder.write(Buffer.from([0xac])), decoder.end(Buffer.from([0xe2])), new StringDecoder("base64").write(Buffer.from("ab")));
const web = Readable.toWeb(Readable.from(["w1", "w2"])); const seen = []; for await (const c of web) seen.push(c); log(seen);
log(await text(Readable.fromWeb(new ReadableStream({ start(c) { c.enqueue(new Uint8Array([104, 105])); c.close() } }))));
const sink = []; const ww = Writable.fromWeb(new WritableStream({ write(c) { sink.push(`${c}`) } })); ww.write("1"); ww.end("2"); await finishedPromise(ww); log(sink);
const p = new PassThrough(); p.end("p"); log(`${p.read()}`, p.readableEnded, stream.isReadable(p));
const order = []; process.nextTick(() => order.push("tick")); await null; order.push("await"); await new Promise((r) => setImmediate(r)); log(order.includes("tick"));
await new Promise((resolve) => { const old = new Readable().wrap(Object.assign(new EventEmitter(), { pause() {}, resume() { this.emit("data", Buffer.from("old")); this.emit("end") } })); old.on("data", (c) => log(`${c}`)); old.on("end", resolve) });

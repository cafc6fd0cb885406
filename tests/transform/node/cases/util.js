import util, { inspect, format, promisify, callbackify, inherits, types, isDeepStrictEqual, stripVTControlCharacters, styleText, deprecate, parseEnv, MIMEType, toUSVString } from "node:util";
import { isMap } from "node:util/types";
class A { constructor() { this.x = 1; this.#p = 2 } #p; get g() { return 1 } static s = 1 }
class B extends A { [Symbol.toStringTag] = "Tagged" }
const circular = { name: "c", list: [] }; circular.self = circular; circular.list.push(circular);
const values = [
  1, -0, "a'b", 'a"b\'', "new\nline", 5n, Symbol("s"), null, undefined, true, NaN,
  [], [1, 2, 3], [1, , 3], [[[[1]]]], new Array(5), ["a".repeat(30), "b".repeat(30), "c".repeat(30)],
  {}, { a: 1, "b-c": 2, [Symbol("k")]: 3 }, { a: { b: { c: { d: 1 } } } }, { get x() { return 1 }, set x(v) {}, get y() { return 1 }, set z(v) {} },
  Object.create(null), Object.create({ a: 1 }), new A(), new B(), A, B, class {}, class extends null {},
  function f() {}, () => {}, async () => {}, function* g() {}, async function* h() {}, Object.assign(function k() {}, { p: 1 }),
  new Map([[{ a: 1 }, "x"], ["k", new Map()]]), new Set([1, "a", [2]]), new WeakMap(), new WeakSet(),
  new Date(0), new Date(NaN), /re/gi, new Number(3), new String("str"), new Boolean(false), Object(5n), Object(Symbol("b")),
  new Uint8Array([1, 2, 3]), new Float64Array(2), new ArrayBuffer(4), new DataView(new ArrayBuffer(2)), Buffer.from("hi"),
  circular, [1.5, -2, 1e21], { a: [1, 2, { b: 3 }], f: () => {} }, { undefined: undefined, null: null, nested: { a: 1, b: "two", c: [3] } },
  Array.from({ length: 120 }, (_, i) => i), Array.from({ length: 30 }, (_, i) => `item ${i}`), { long: "x".repeat(100), other: "y".repeat(20) },
  { a: 1, b: 2, c: { d: 3, e: [4, 5, { f: 6 }] }, g: "some text that is rather long, in fact", h: "and one more of these texts" },
  (function () { return arguments })(1, 2), [undefined, null], [new Error("x").message], { [Symbol.iterator]: 1 }, new (class Foo extends Map {})([[1, 2]]), new (class Bar extends Array {})(1, 2),
  { [inspect.custom](depth, options) { return `custom ${depth} ${typeof options.stylize}` } }, { nested: { [inspect.custom]: () => ({ replaced: true }) } },
  [[1, 2, [3, 4, [5, [6]]], { a: { b: { c: {} } } }]], "x".repeat(5), ["\x00\x7f\u{1f600}"], globalThis.nothing, { "": 1, 1: 2, "a b": 3 },
];
for (const value of values) log(inspect(value));
for (const options of [{ depth: 0 }, { depth: null }, { compact: false }, { compact: true }, { breakLength: 20 }, { breakLength: Infinity }, { sorted: true }, { showHidden: true }, { colors: true }, { maxArrayLength: 2 }, { maxStringLength: 3 }, { getters: true }, { numericSeparator: true }]) {
  log(Object.keys(options), inspect({ z: [1, 2, 3], a: { b: { c: { d: { e: 1 } } } }, s: "abcdef", n: 1234567.891, get g() { return 5 }, m: new Map([[1, { a: 2 }]]), set: new Set([3]) }, options));
}
log(format("%s %d %i %f %j %o %O %c %% %x", "s", "4.5", "4.5", "4.5", { a: 1 }, [1], { b: { c: { d: {} } } }, "css", "extra", { more: 1 }));
log(format("%s", null, undefined, 5n, Symbol("x"), {}, [1], () => {}, new Date(0), -0), format("a", "b", { c: 1 }), format(1, 2, "3"), format("%s"), format("%d", "x"), format("%s", { toString() { return "own" } }), format("100%"), format("%s", class Q {}), format("%i", 5n), format({ a: 1 }, "s"));
log(await promisify((a, cb) => cb(null, a + 1))(1), await promisify((cb) => cb(new Error("no")))().catch((e) => e.message), promisify(setTimeout) !== undefined, promisify(promisify((cb) => cb())).name);
await new Promise((resolve) => callbackify(async (a) => a * 2)(4, (error, value) => { log(error, value); resolve() }));
await new Promise((resolve) => callbackify(async () => { throw null })((error) => { log(error.code, error.reason); resolve() }));
function Base() {} ; function Derived() {} ; inherits(Derived, Base); log(new Derived() instanceof Base, Derived.super_ === Base);
log(types.isDate(new Date()), types.isRegExp(/a/), types.isPromise(Promise.resolve()), isMap(new Map()), types.isUint8Array(Buffer.from("")), types.isAsyncFunction(async () => {}), types.isGeneratorFunction(function* () {}), types.isBoxedPrimitive(Object(1)), types.isArrayBufferView(new DataView(new ArrayBuffer(1))), types.isAnyArrayBuffer(new ArrayBuffer(1)), types.isNativeError(new TypeError()), types.isSymbolObject(Object(Symbol())), types.isDate({}), types.isMap(new WeakMap()), types.isGeneratorObject((function* () {})()), types.isArgumentsObject((function () { return arguments })()), types.isStringObject("x"), types.isModuleNamespaceObject(await import("node:util")), types.isSetIterator(new Set().values()), types.isTypedArray(new DataView(new ArrayBuffer(1))));
log(isDeepStrictEqual({ a: [1, new Map([[1, { b: 2 }]])] }, { a: [1, new Map([[1, { b: 2 }]])] }), isDeepStrictEqual([1], ["1"]), isDeepStrictEqual(new Set([{ a: 1 }]), new Set([{ a: 1 }])), isDeepStrictEqual(NaN, NaN), isDeepStrictEqual(0, -0), isDeepStrictEqual(new Date(1), new Date(1)), isDeepStrictEqual(/a/g, /a/i), isDeepStrictEqual(Buffer.from("a"), new Uint8Array([97])), isDeepStrictEqual(new Error("a"), new Error("b")), isDeepStrictEqual({ a: undefined }, {}), isDeepStrictEqual([1, , 2], [1, undefined, 2]));
log(stripVTControlCharacters("\u001b[31mred\u001b[0m"), styleText("red", "x"), toUSVString("\ud800"), util.isArray([]), util.inspect === inspect, util.types.isDate === types.isDate);
const mime = new MIMEType("Text/HTML; charset=\"utf-8\"; q=x"); log(mime.essence, mime.type, mime.params.get("charset"), String(mime));
const old = deprecate(() => 5, "is old"); log(typeof old);

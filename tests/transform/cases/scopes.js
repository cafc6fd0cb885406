//// index.js
import { a, b, c, d, e, poke } from "./m.js";
poke();
log(a, b, c, d, e);
// parameters and var
function f(x = a) { var a = "inner"; return [x, a] }
log(f());
function g(a = b, { b: c = a } = {}, ...[d]) { return [a, c, d] }
log(g(), g(1, { b: 2 }, 3));
// hoisting
function h() { if (true) { var b = 1 } return b }
log(h());
function h2() { { function b() {} } return typeof b }
log(h2());
{ log(typeof c); function c() {} }
{ try { d } catch (error) { log(error) } let d }
// switch, catch, for, labels
switch (a) { case "A": let b = 1; log(b); break; default: log(b) }
try { throw 1 } catch (a) { log(a); { log(a) } }
try { throw [1, 2] } catch ([b, c = a]) { log(b, c) }
try { throw 1 } catch { log(a) }
for (let a = 0; a < 1; a++) log(a);
for (const [a, b = c] of [[1]]) log(a, b);
for (var i in { a }) log(i);
a: for (;;) { break a }
b: { break b }
// classes
class A { a = a; static b = b; [c]() { return a } #d = d; get d() { return this.#d } static { var e = 9; this.e = e } e = () => e; static a() { return a } }
log(new A().a, A.b, new A().C(), new A().d, A.e, new A().e(), A.a());
const B = class a { static m() { return typeof a } };
log(B.m(), B.name);
class D extends (class { x = b }) { a() { return super.toString === Object.prototype.toString && this.x } }
log(new D().a());
// objects
const o = { a, b: c, [d]: e, c() { return c }, get a2() { return a }, async *e() { yield e } };
log(Object.keys(o), o.c(), o.a2);
const { a: renamed, [d]: computed = e, ...others } = { a: 1, z: b };
log(renamed, computed, others);
const fn = ({ a }) => a, fn2 = a => a, fn3 = async (b) => { return b + a }, fn4 = ({ x: { a } = { a: b } }) => a;
log(fn({ a: 1 }), fn2(2), fn4({}));
fn3("x").then((value) => log(value));
var outer = function b() { return typeof b }; log(outer());
log(((a, b) => a + b)(...[1, 2]), a?.length, a?.[0], `${a}${`${b}`}`, typeof a, void a, !a, -a);
const gen = function* () { yield a; const received = yield* [b]; return c };
log([...gen()]);
if (a) log(b); else log(c);
do log(a); while (0)

function target() { return new.target && a } 

let async = a; log(async)
let of = b; for (of of [1]) log(of);
var undefinedVar = a, let1 = b
log(undefinedVar
  ,let1)
export var a2 = a, { b2, c2: [d2 = a] } = { b2: b, c2: [] };
log(b2, d2);
//// m.js
export let a = "a", b = "b", c = "c", d = "d", e = "e";
export function poke() { a = "A"; b = "B"; c = "C"; d = "D"; e = "E" }

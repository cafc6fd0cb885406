//// index.js
import { f, g, set } from "./m.js"
let a = 1
f()
let b = a
g`x`
const list = []
f().x
  .toString()
if (a) f()
else g``
for (const x of [1]) f()
while (b--) f()
do f(); while (false)
label: f()
{ f() }
(() => f())()
a = b
f(), g``
a++
f()
let o = { f: f() }
class C { x = f()
  y = f() }
new C()
a = f
f()
switch (a) { case f: f()
  default: f() }
let regular = /x/
f()
export let q = a
f()
export function z() { f() }
f()
log(a === f, typeof b)
async function h() {
  let x = a
  await f()
  let y = a
  await f().x
  await (f())
  return f
}
h().then((v) => log(v === f))
//// m.js
let n = 0;
export let f = function () { log("f", this, n++); return { x: 1 } };
export let g = function (s) { log("g", this, s.raw); return 1 };
export function set() { f = g = null }

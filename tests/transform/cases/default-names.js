//// index.js
import a from "./a.js"; import b from "./b.js"; import c from "./c.js"; import d from "./d.js";
import e from "./e.js"; import f from "./f.js"; import g from "./g.js"; import h from "./h.js";
import i from "./i.js"; import j from "./j.js"; import k from "./k.js"; import l from "./l.js";
import m from "./m.js"; import n from "./n.js"; import o, { o as o2, set } from "./o.js"; import p from "./p.js";
import q from "./q.js"; import r from "./r.js"; import s from "./s.js";
log([a, b, c, d, e, f, g, h, i, j].map((x) => x.name));
log(k, l, m, n.name, typeof p, q, r.name, s.name);
log(o.name, o2.name); set(); log(o.name, o2);
//// a.js
export default function () {}
//// b.js
export default () => {}
//// c.js
export default class {}
//// d.js
export default class { static name = "own" }
//// e.js
export default (function () {})
//// f.js
export default (class {});
//// g.js
export default async function* /* c( */ () {}
//// h.js
export default async () => {}
//// i.js
export default class I {}
//// j.js
export default function J() {}
(function () {})()
//// k.js
export default (1, 2)
//// l.js
export default [1]
+ 1
//// m.js
export
default
  { a: 1 }.a
//// n.js
export default function* // what (
() {}
//// o.js
export default function o() {}
export { o }
export const set = () => { o = 7 };
//// p.js
export default class { static { this.p = 1 } } [1].map(() => {})
//// q.js
const q = 5; export { q as default }
//// r.js
export default (0, function () {})
//// s.js
export default async(x => x)
function async(x) { return x }

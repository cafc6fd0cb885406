//// index.js
import { self, tag } from "./b.js";
import * as b from "./b.js";
log(this);
log(typeof arguments);
log((() => this)());
log(self(), (self)(), self?.(), new self() instanceof self);
log(b.self() === b, (0, b.self)());
log(tag`x${1}`, (tag)`y`);
function f() { return arguments.length }
log(f(1, 2));
const o = { m() { return [typeof this, arguments.length] } };
log(o.m(3));
class C { x = typeof arguments2; static s = this.name }
var arguments2;
log(new C().x, C.s)
//// b.js
export let self = function () { return this };
export let tag = function (strings) { return [strings.raw, this] };
export const reassign = () => { self = tag = null };

//// index.js
import * as self from "./index.js";
import { x as y, f as g, default as d } from "./index.js";
log(g(), typeof d);
try { y } catch (error) { log(error) }
export let x = 1;
export function f() { return "f" }
export default function () {}
log(self.x, y, d.name, self.default === d);

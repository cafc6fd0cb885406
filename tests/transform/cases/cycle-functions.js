//// index.js
import { b, callA } from "./b.js";
log("a body", b);
export function a() { return "a hoisted" }
export let late = "late";
export default class Named {}
log(callA());
//// b.js
import Named, { a, late } from "./index.js";
import { deep } from "./c.js";
import * as main from "./index.js";
log("b body", a(), deep());
try { late } catch (error) { log("TDZ", error) }
try { Named } catch (error) { log("TDZ", error) }
try { main.late } catch (error) { log("TDZ", error) }
try { typeof late } catch (error) { log("TDZ", error) }
log(Object.keys(Object.getOwnPropertyDescriptors({ a })), typeof main)
export const b = 1;
export const callA = () => [a(), late, typeof Named];
//// c.js
import { a } from "./index.js";
import { helper } from "./d.js";
log("c body", helper());
export function deep() { return a() + " through c" }
//// d.js
import { deep } from "./c.js";
log("d body", deep());
export function helper() { return "d helper" }

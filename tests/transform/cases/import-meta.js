//// index.js
import { url } from "./dir/b.js";
log(import.meta.url.endsWith("/index.js"), url.endsWith("/dir/b.js"), typeof import.meta, import.meta === import.meta);
import.meta.own = 1;
log(import.meta.own, Object.getPrototypeOf(import.meta));
//// dir/b.js
export const { url } = import.meta;
//// expect
true true "object" true
1 {}
"done" []

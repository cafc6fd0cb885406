//// index.js
const name = "./dir/x.js";
const x = await import(name);
log(Object.keys(x), x.default, x === (await import("./dir/x.js")));
log(await import("./dir/x.js").then(({ inner }) => inner()).then((y) => y.value));
const values = await Promise.all([import("./dir/y.js"), import("./dir/y.js"),]);
log(values[0] === values[1]);
log(await import({ toString: () => "./dir/y.js" }).then((m) => m.value));
log(await import("./data.json", { with: { type: "json" } }).then((m) => m.default));
const rejected = import({ toString() { throw new RangeError() } });
log(await rejected.catch((error) => error));
log(import("./dir/y.js") instanceof Promise);
class K { async m() { return (await import("./dir/y.js")).value } }
log(await new K().m());
import("./dir/z.js").then((m) => log("later", m.z));
log("first");
await 0;
//// dir/x.js
export default "x";
export const inner = () => import("./y.js");
//// dir/y.js
log("y once");
export let value = 7;
//// dir/z.js
export let z = "z";
//// data.json
{"a": [1, 2]}

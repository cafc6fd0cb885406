//// index.js
const results = await Promise.allSettled([import("./fails.js"), import("./fails.js"), import("./parent.js"), import("./sync.js")]);
log(results.map((r) => r.reason?.message));
const a = await import("./fails.js").catch((e) => e), b = await import("./fails.js").catch((e) => e);
log(a === b, a.message);
try { await import("./nowhere.js") } catch (error) { log(error instanceof Error) }
//// fails.js
await 0;
throw new Error("late failure");
//// parent.js
import "./fails.js";
log("never");
//// sync.js
log("sync once");
throw new Error("sync failure");

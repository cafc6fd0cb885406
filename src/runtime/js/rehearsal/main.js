// SPDX-License-Identifier: Apache-2.0
// Entry of a script of its own, not part of the library: it runs a worker through a copy of the library in a context that is
// thrown away (rehearsal.c). What the engine compiles for it is there for every context that has the same source; the context's
// objects are not. C sets `native`, and `bundle` ({manifest, blob, path}) where it is a worker's own code that is rehearsed.
import { playLibrary } from "./library.js";
import { Stage } from "./stage.js";
import { playWorker } from "./worker.js";

const { native, bundle, weirRuntime } = globalThis;
for (const name of ["native", "bundle", "weirRuntime"]) delete globalThis[name]; // which a worker does not find later either
const stage = new Stage(native, weirRuntime);
const played = bundle === undefined ? playLibrary(stage) : playWorker(stage, bundle);
played.then((said) => (globalThis.rehearsed = said), (error) => (globalThis.rehearsed = `${error}`));

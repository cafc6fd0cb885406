// SPDX-License-Identifier: Apache-2.0
// Links and evaluates transformed modules: ECMA-262 16.2.1.5 (cyclic module records) over the
// manifest that the transform wrote. README.md has the protocol and the host's functions.

import { cell, bindThenable } from "../async-context.js";
import {
  ArrayJoin,
  ArrayPush,
  ArraySort,
  Error,
  Map,
  MapGet,
  MapHas,
  MapSet,
  ObjectCreate,
  ObjectDefineProperty,
  ObjectFreeze,
  ObjectKeys,
  ObjectHasOwn,
  ReferenceError,
  ReflectApply,
  Set,
  SetAdd,
  SetHas,
  String,
  SyntaxError,
  SymbolToStringTag,
  TypeError,
  promiseReject,
  promiseResolve,
  promiseThen,
  promiseWithResolvers,
} from "../primordials.js";
import { findModule } from "./paths.js";

const LINKED = 1;
const EVALUATING = 2;
const EVALUATING_ASYNC = 3;
const EVALUATED = 4;

const DONE = -1; // asyncOrder of a module that was asynchronous and is finished

const EMPTY = ObjectFreeze([]);

// One module: of the bundle, or a built-in (`module` undefined).
class ModuleRecord {
  constructor(name, kind, module) {
    this.name = name;
    this.kind = kind; // "esm", "cjs", "data" (all that is no code), "builtin"
    this.module = module;
    this.namespace = ObjectCreate(null);
    this.getters = new Map(); // exported name of an own binding → getter
    this.targets = EMPTY; // records of imports
    this.resumable = null; // the generator of a module in a cycle, stopped before its body
    this.error = null; // {reason}
    this.meta = undefined;
    this.exports = undefined; // built-in: its object; CommonJS: its `module`
    this.status = 0;
    this.index = 0;
    this.ancestor = 0;
    this.cycleRoot = this;
    this.asyncOrder = 0; // 0: not asynchronous
    this.pending = 0;
    this.parents = [];
    this.capability = null;
    ObjectDefineProperty(this.namespace, SymbolToStringTag, { value: "Module" });
  }
}

export function createModuleGraph(host) {
  const records = new Map();
  const builtins = new Map();
  let asyncCounter = 1;

  for (let i = 0; i < host.modules.length; i++) {
    const module = host.modules[i];
    const kind = module.type === "esm" || module.type === "cjs" ? module.type : "data";
    MapSet.call(records, module.name, new ModuleRecord(module.name, kind, module));
  }
  const hasModule = (name) => MapHas.call(records, name);

  // --- finding ---

  function builtinRecord(specifier) {
    let record = MapGet.call(builtins, specifier);
    if (record === undefined) {
      const exports = host.builtin(specifier);
      if (exports === undefined || exports === null) return undefined;
      record = new ModuleRecord(specifier, "builtin", undefined);
      record.exports = exports;
      fillNamespace(record, exports);
      record.status = EVALUATED;
      MapSet.call(builtins, specifier, record);
    }
    return record;
  }

  function find(specifier, referrer) {
    const name = findModule(specifier, referrer, hasModule);
    const record = name === null ? builtinRecord(specifier) : MapGet.call(records, name);
    if (record === undefined) {
      throw new Error(`No such module "${specifier}", imported from "${referrer}"`);
    }
    return record;
  }

  // --- names ---

  // Returns {record, name} of a binding, {record, name: null} of a namespace, null, or "ambiguous".
  function resolve(record, name, seen) {
    if (record.kind !== "esm") {
      // What a CommonJS module exports is known when it was evaluated: checked there.
      if (record.kind === "cjs" || ObjectHasOwn(record.namespace, name)) return { record, name };
      return record.kind === "data" && name === "default" ? { record, name } : null;
    }
    const key = `${record.name}\0${name}`;
    if (SetHas.call(seen, key)) return null;
    SetAdd.call(seen, key);
    const { exports, reexports, starFrom } = record.module;
    for (let i = 0; i < exports.length; i++) {
      if (exports[i] === name) return { record, name };
    }
    for (let i = 0; i < reexports.length; i++) {
      const { name: exported, import: index, from } = reexports[i];
      if (exported !== name) continue;
      const target = record.targets[index];
      return from === null ? { record: target, name: null } : resolve(target, from, seen);
    }
    if (name === "default") return null;
    let found = null;
    for (let i = 0; i < starFrom.length; i++) {
      const target = record.targets[starFrom[i]];
      if (target.kind === "cjs") continue;
      const resolution = resolve(target, name, seen);
      if (resolution === null) continue;
      if (resolution === "ambiguous") return resolution;
      if (found && (found.record !== resolution.record || found.name !== resolution.name)) {
        return "ambiguous";
      }
      found = resolution;
    }
    return found;
  }

  function collectNames(record, names, seen) {
    if (SetHas.call(seen, record)) return;
    SetAdd.call(seen, record);
    if (record.kind !== "esm") {
      const keys = record.kind === "cjs" ? EMPTY : ObjectKeys(record.namespace);
      for (let i = 0; i < keys.length; i++) SetAdd.call(names, keys[i]);
      return;
    }
    const { exports, reexports, starFrom } = record.module;
    for (let i = 0; i < exports.length; i++) SetAdd.call(names, exports[i]);
    for (let i = 0; i < reexports.length; i++) SetAdd.call(names, reexports[i].name);
    for (let i = 0; i < starFrom.length; i++) {
      const inner = new Set();
      collectNames(record.targets[starFrom[i]], inner, seen);
      inner.forEach((name) => name !== "default" && SetAdd.call(names, name));
    }
  }

  function exportedNames(record) {
    if (record.module.starFrom.length === 0) {
      // The usual module: both lists are short.
      const names = [];
      const { exports, reexports } = record.module;
      for (let i = 0; i < exports.length; i++) ArrayPush.call(names, exports[i]);
      for (let i = 0; i < reexports.length; i++) ArrayPush.call(names, reexports[i].name);
      return ArraySort.call(names);
    }
    const set = new Set();
    collectNames(record, set, new Set());
    const names = [];
    set.forEach((name) => ArrayPush.call(names, name));
    return ArraySort.call(names);
  }

  // --- namespaces ---

  function fillNamespace({ namespace }, exports) {
    const keys = ArraySort.call(ObjectKeys(exports));
    for (let i = 0; i < keys.length; i++) {
      const descriptor = { value: exports[keys[i]], enumerable: true, writable: false };
      ObjectDefineProperty(namespace, keys[i], descriptor);
    }
    ObjectFreeze(namespace);
  }

  function fillCommonJs(record, exports) {
    const { namespace } = record;
    const named =
      exports !== null && (typeof exports === "object" || typeof exports === "function")
        ? ObjectKeys(exports)
        : EMPTY;
    for (let i = 0; i < named.length; i++) {
      if (named[i] === "default") continue;
      const descriptor = { value: exports[named[i]], enumerable: true, configurable: true };
      ObjectDefineProperty(namespace, named[i], descriptor);
    }
    ObjectDefineProperty(namespace, "default", { value: exports, enumerable: true });
    ObjectFreeze(namespace);
  }

  // Exported names → getters. All that they resolve to has registered its getters.
  function finishNamespace(record) {
    const names = exportedNames(record);
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      const resolution = resolve(record, name, new Set());
      if (resolution === null || resolution === "ambiguous") continue;
      const get = getterOf(resolution);
      ObjectDefineProperty(record.namespace, name, { get, enumerable: true, configurable: false });
    }
    ObjectFreeze(record.namespace);
  }

  function getterOf({ record, name }) {
    const { namespace, kind, getters } = record;
    if (name === null) return () => namespace;
    if (kind !== "esm") return () => namespace[name];
    const getter = MapGet.call(getters, name);
    if (getter !== undefined) return getter;
    // Asked for by a module in a cycle, of one outside that has not started.
    return () => {
      const late = MapGet.call(getters, name);
      if (late === undefined) {
        throw new ReferenceError(`Cannot access "${name}" before initialization`);
      }
      return late();
    };
  }

  // --- what a module's script sees as __w ---

  class Wiring {
    #record;
    constructor(record) {
      this.#record = record;
      this.c = cell;
      this.a = bindThenable;
    }
    i(index) {
      const target = this.#record.targets[index];
      if (target.kind === "cjs" && target.status === EVALUATED) requireNames(this.#record, index);
      return target.namespace;
    }
    x(getters) {
      const record = this.#record;
      const { exports } = record.module;
      for (let i = 0; i < exports.length; i++) MapSet.call(record.getters, exports[i], getters[i]);
      if (record.resumable === null) finishNamespace(record);
    }
    d(specifier, options) {
      return dynamicImport(specifier, this.#record.name, options);
    }
    get r() {
      const { name } = this.#record;
      return (specifier) => requireModule(`${specifier}`, name);
    }
    n(value) {
      return ObjectDefineProperty(value, "name", { value: "default", configurable: true });
    }
    get m() {
      const record = this.#record;
      return (record.meta ??= host.meta(record.module));
    }
  }

  function requireNames(record, index) {
    const { names, specifier, line } = record.module.imports[index];
    const { namespace } = record.targets[index];
    for (let i = 0; i < names.length; i++) {
      if (!ObjectHasOwn(namespace, names[i])) throw noExport(record, specifier, names[i], line);
    }
  }

  function noExport(record, specifier, name, line) {
    return new SyntaxError(`${record.name}:${line}: "${specifier}" has no export named "${name}"`);
  }

  // --- linking ---

  function link(root) {
    const added = [];
    load(root, added);
    for (let i = 0; i < added.length; i++) checkImports(added[i]);
    // Modules in cycles: run each to just before its body, so that its functions can be called.
    const cyclic = [];
    for (let i = 0; i < added.length; i++) {
      const record = added[i];
      const { form } = record.module;
      if (form === "generator" || form === "async-generator") ArrayPush.call(cyclic, record);
    }
    for (let i = 0; i < cyclic.length; i++) {
      const record = cyclic[i];
      record.resumable = ReflectApply(host.evaluate(record.module), undefined, [new Wiring(record)]);
      record.resumable.next();
    }
    for (let i = 0; i < cyclic.length; i++) finishNamespace(cyclic[i]);
  }

  function load(record, added) {
    if (record.kind !== "esm" || record.status !== 0) return;
    const { imports } = record.module;
    const targets = [];
    for (let i = 0; i < imports.length; i++) {
      const { target, specifier } = imports[i];
      const found = hasModule(target) ? MapGet.call(records, target) : builtinRecord(target);
      if (found === undefined) {
        throw new Error(`No such module "${specifier}", imported from "${record.name}"`);
      }
      ArrayPush.call(targets, found);
    }
    record.targets = targets;
    record.status = LINKED;
    ArrayPush.call(added, record);
    for (let i = 0; i < targets.length; i++) load(targets[i], added);
  }

  function checkImports(record) {
    const { imports } = record.module;
    for (let i = 0; i < imports.length; i++) {
      const { names, specifier, line } = imports[i];
      for (let j = 0; j < names.length; j++) {
        const resolution = resolve(record.targets[i], names[j], new Set());
        if (resolution === null || resolution === "ambiguous") {
          throw noExport(record, specifier, names[j], line);
        }
      }
    }
  }

  // --- evaluation ---

  // The value of the module's script called: undefined, or a promise.
  function run(record) {
    const { module, resumable } = record;
    if (resumable !== null) {
      const result = resumable.next();
      return module.async ? result : undefined;
    }
    if (module.exports.length === 0) finishNamespace(record);
    return ReflectApply(host.evaluate(module), undefined, [new Wiring(record)]);
  }

  function evaluate(root) {
    const stack = [];
    try {
      innerEvaluate(root, stack, 0);
    } catch (reason) {
      for (let i = 0; i < stack.length; i++) {
        stack[i].status = EVALUATED;
        stack[i].error = { reason };
        stack[i].cycleRoot = stack[i];
      }
      throw reason;
    }
  }

  function innerEvaluate(record, stack, index) {
    if (record.kind !== "esm") {
      evaluateOther(record);
      return index;
    }
    if (record.status >= EVALUATING_ASYNC) {
      if (record.error !== null) throw record.error.reason;
      return index;
    }
    if (record.status === EVALUATING) return index;
    record.status = EVALUATING;
    record.index = record.ancestor = index++;
    ArrayPush.call(stack, record);
    for (let i = 0; i < record.targets.length; i++) {
      let target = record.targets[i];
      index = innerEvaluate(target, stack, index);
      if (target.kind !== "esm") continue;
      if (target.status === EVALUATING) {
        if (target.ancestor < record.ancestor) record.ancestor = target.ancestor;
      } else {
        target = target.cycleRoot;
        if (target.error !== null) throw target.error.reason;
      }
      if (target.asyncOrder > 0) {
        record.pending++;
        ArrayPush.call(target.parents, record);
      }
    }
    if (record.pending > 0 || record.module.async) {
      record.asyncOrder = asyncCounter++;
      if (record.pending === 0) runAsync(record);
    } else {
      run(record);
    }
    if (record.ancestor === record.index) {
      for (let member; member !== record; ) {
        member = stack[stack.length - 1];
        stack.length--;
        member.status = member.asyncOrder === 0 ? EVALUATED : EVALUATING_ASYNC;
        member.cycleRoot = record;
      }
    }
    return index;
  }

  function runAsync(record) {
    promiseThen(
      run(record),
      () => asyncFulfilled(record),
      (reason) => asyncRejected(record, reason),
    );
  }

  function settle(record) {
    record.asyncOrder = DONE;
    record.status = EVALUATED;
    record.capability?.resolve();
  }

  function asyncFulfilled(record) {
    if (record.status === EVALUATED) return;
    settle(record);
    const ready = [];
    gatherReady(record, ready);
    ArraySort.call(ready, (a, b) => a.asyncOrder - b.asyncOrder);
    for (let i = 0; i < ready.length; i++) {
      const parent = ready[i];
      if (parent.status === EVALUATED) continue;
      if (parent.module.async) {
        runAsync(parent);
        continue;
      }
      try {
        run(parent);
      } catch (reason) {
        asyncRejected(parent, reason);
        continue;
      }
      settle(parent);
    }
  }

  function gatherReady(record, ready) {
    for (let i = 0; i < record.parents.length; i++) {
      const parent = record.parents[i];
      if (parent.cycleRoot.error !== null || parent.status === EVALUATED) continue;
      if (--parent.pending > 0) continue;
      ArrayPush.call(ready, parent);
      if (!parent.module.async) gatherReady(parent, ready);
    }
  }

  function asyncRejected(record, reason) {
    if (record.status === EVALUATED) return;
    record.error = { reason };
    record.asyncOrder = DONE;
    record.status = EVALUATED;
    for (let i = 0; i < record.parents.length; i++) asyncRejected(record.parents[i], reason);
    record.capability?.reject(reason);
  }

  function evaluateOther(record) {
    if (record.kind === "cjs") {
      evaluateCommonJs(record);
    } else if (record.kind === "data" && record.status !== EVALUATED) {
      fillNamespace(record, { default: host.data(record.module) });
      record.status = EVALUATED;
    }
  }

  // The promise of the namespace once it is evaluated.
  function evaluated(record) {
    evaluate(record);
    const root = record.cycleRoot;
    if (record.kind !== "esm" || root.status === EVALUATED) return promiseResolve(undefined);
    root.capability ??= promiseWithResolvers();
    return root.capability.promise;
  }

  // --- CommonJS ---

  function evaluateCommonJs(record) {
    if (record.status === EVALUATED || record.status === EVALUATING) return record.exports;
    record.status = EVALUATING;
    const filename = `/${record.name}`;
    const slash = directoryEnd(filename);
    const dirname = slash === 0 ? "/" : filename.slice(0, slash);
    const require = (specifier) => requireModule(String(specifier), record.name);
    const module = { id: filename, filename, path: dirname, exports: {}, loaded: false, require };
    record.exports = module;
    try {
      const script = host.evaluate(record.module);
      const { exports } = module;
      const args = [exports, require, module, filename, dirname, new Wiring(record)];
      ReflectApply(script, exports, args);
    } catch (error) {
      record.status = 0; // asked for again, it runs again
      throw error;
    }
    module.loaded = true;
    record.status = EVALUATED;
    fillCommonJs(record, module.exports);
    return module;
  }

  function requireModule(specifier, referrer) {
    const record = find(specifier, referrer);
    if (record.kind === "cjs") return evaluateCommonJs(record).exports;
    if (record.kind === "builtin") {
      return ObjectHasOwn(record.exports, "default") ? record.exports.default : record.exports;
    }
    const namespace = importNow(record);
    if (record.kind === "data") return namespace.default;
    return ObjectHasOwn(namespace, "module.exports") ? namespace["module.exports"] : namespace;
  }

  // --- entry points ---

  function importNow(record) {
    if (record.status === EVALUATING) {
      throw new Error(`Cannot require "${record.name}" while it is being evaluated`);
    }
    link(record);
    evaluate(record);
    if (record.kind === "esm" && record.cycleRoot.status !== EVALUATED) {
      throw new Error(`Cannot require "${record.name}": it, or a module that it imports, uses top-level await`);
    }
    return record.namespace;
  }

  function importLater(record) {
    try {
      link(record);
      return promiseThen(evaluated(record), () => record.namespace);
    } catch (error) {
      return promiseReject(error);
    }
  }

  function dynamicImport(specifier, referrer, options) {
    let record;
    try {
      specifier = `${specifier}`;
      record = find(specifier, referrer);
      checkAttributes(record, specifier, options);
    } catch (error) {
      return promiseReject(error);
    }
    return promiseThen(promiseResolve(undefined), () => importLater(record));
  }

  function checkAttributes({ module }, specifier, options) {
    if (options === undefined) return;
    if (options === null || typeof options !== "object") {
      throw new TypeError("The second argument of import() must be an object");
    }
    const attributes = options.with;
    if (attributes === undefined) return;
    if (attributes === null || typeof attributes !== "object") {
      throw new TypeError("The `with` option of import() must be an object");
    }
    const keys = ObjectKeys(attributes);
    for (let i = 0; i < keys.length; i++) {
      const value = attributes[keys[i]];
      if (keys[i] !== "type") {
        throw new TypeError(`Unknown import attribute "${keys[i]}"`);
      }
      const expected = value === "bytes" ? "data" : value;
      if (module?.type !== expected) {
        const actual = module ? module.type : "built-in";
        throw new TypeError(`"${specifier}" is imported with type "${value}" but is ${actual}`);
      }
    }
  }

  return {
    importMain: (name) => importLater(find(`/${name}`, "")),
    importSync: (name) => importNow(find(`/${name}`, "")),
    import: dynamicImport,
    require: requireModule,
  };
}

function directoryEnd(filename) {
  let end = filename.length;
  while (end > 0 && filename[--end] !== "/");
  return end;
}

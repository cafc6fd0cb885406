// SPDX-License-Identifier: Apache-2.0
// Prisma's interpreter with what is changed in it: node runtime.js INDEX.MJS >RUNTIME. What is not there as often as it was when it
// was read ends the build.
import { readFileSync } from "node:fs";

let source = readFileSync(process.argv[2], "utf8");

// within: begins the function it is in.
function change(count, from, to, within = "") {
  const begin = source.indexOf(within), end = within === "" ? source.length : source.indexOf("\n}", begin);
  const parts = source.slice(begin, end).split(from);
  if (begin < 0 || parts.length !== count + 1) {
    console.error(`Prisma's interpreter has "${from}" ${begin < 0 ? 0 : parts.length - 1} times${within && ` in "${within}"`}, not ${count}: see what has become of it, and change runtime.js`);
    process.exit(1);
  }
  source = source.slice(0, begin) + parts.join(to) + source.slice(end);
}

// It evaluates what a parameter's value is once more, and that again: without an end where it is that parameter. Here it is a value.
change(4, " arg = ", " return ", "function evaluateArg");

// A record's fields are its own, not what all objects inherit, which have the names of some.
change(1, "value[field] ?? null", "(Object.hasOwn(value, field) ? value[field] : null) ?? null", "function mapField2");
change(1, "record[key] = ", "if (Object.hasOwn(record, key)) record[key] = ", "function processNestedRecords");

// What a plan puts together, and that once more, has so many values in all, each as often as it would be written. Where there are
// several ways to what has values of its own, it gets no more of them. What is looked at, to find rows by their fields and to make a result of them, has an
// end as well, and so has a result. response: {max: bytes, refusal(): of a larger one, collect(): garbage}, of run()'s options.
change(1, "this.#generators.snapshot()", "this.#generators.snapshot(options.response)");
change(1, "  snapshot() {", "  snapshot(response) {");
change(1, "      now: {", "      product: { value: new ProductGenerator(response) },\n      now: {");
change(1, "  generate(lhs, rhs) {", `  #left = 1000000;
  #looks = 2621440; // all of them are done before anybody else has a turn
  #writes; // two characters of the response's text
  #refusal;
  #collect;
  #counted = 0;
  #held = new WeakSet(); // there is a way to it
  #shared = new WeakSet(); // … several
  constructor(response) {
    this.#writes = Math.max(this.#left, response?.max >> 1);
    this.#refusal = response?.refusal;
    this.#collect = response?.collect;
  }
  // Once it is much: what others have left makes room for it, or there is none in the end.
  #count(count) {
    if ((this.#counted += count) < 1000000) return;
    this.#counted = -Infinity;
    this.#collect?.();
  }
  spend(count) {
    this.#count(count);
    if ((this.#left -= count) < 0) throw new UserFacingError("The query puts together more than 1000000 values, which is the limit here: ask for less at once.", "P6000");
  }
  look(count) {
    this.#count(count);
    if ((this.#looks -= count) < 0) throw new UserFacingError("The query has more to look at than the rows of one response: ask for less at once.", "P6000");
  }
  // A list of the plan's, or a text: some of it takes no longer than a value.
  lookInto(value) {
    if (typeof value === "string" || Array.isArray(value) || ArrayBuffer.isView(value)) this.look(value.length >> 5);
    return value;
  }
  lookThrough(list) {
    this.look(list.length);
    return list;
  }
  // An id takes as long as some values.
  make(name, args) {
    this.look(name === "cuid" && args[0] === 2 ? 60 : name === "ulid" || name === "nanoid" ? 20 : 1);
    return args;
  }
  write(count) {
    this.#count(count);
    if ((this.#writes -= count) < 0) throw this.#refusal();
  }
  written(value) {
    if (typeof value === "string") this.write(value.length >> 1);
    else if (ArrayBuffer.isView(value)) this.write(value.byteLength >> 1);
    else if (typeof value === "object" && value !== null)
      for (const item of Object.values(value)) {
        this.write(1);
        this.written(item);
      }
    return value;
  }
  // JSON, of one after the other.
  key(values) {
    this.look(1);
    const texts = values.map((value) => {
      const text = JSON.stringify(value) ?? "null";
      this.look(1 + (text.length >> 5));
      return text;
    });
    return "[" + texts.join() + "]";
  }
  // The text that a fragment of a statement becomes: what is around each parameter, too.
  render({ type, chunk, value, itemPrefix, itemSeparator, itemSuffix, groupSeparator }, { prefix }) {
    const around = [prefix, itemPrefix, itemSeparator, itemSuffix, groupSeparator].join("").length;
    const times = type === "parameterTupleList" ? value.reduce((sum, tuple) => sum + 1 + tuple.length, 0) : type === "parameterTuple" ? value.length : 1;
    this.spend((type === "stringChunk" ? chunk.length : around * times) / 32);
  }
  // A text is one for each 32 characters more.
  #weight(value, most) {
    let weight = 1;
    if (typeof value === "string") weight += value.length >> 5;
    if (ArrayBuffer.isView(value)) return weight + (value.byteLength >> 5);
    if (typeof value !== "object" || value === null) return weight;
    this.#shared.add(value);
    for (const item of Object.values(value)) {
      if (weight > most) break;
      weight += this.#weight(item, most - weight);
    }
    return weight;
  }
  // Once more.
  share(value) {
    this.spend(this.#weight(value, this.#left));
    return value;
  }
  // The first time it is where it was made.
  hold(value) {
    const isNew = typeof value === "object" && value !== null && !this.#held.has(value);
    if (!isNew) return this.share(value);
    this.#held.add(value);
    this.spend(1);
    return value;
  }
  holdAll(value) {
    const list = asList(value);
    for (const item of list) this.hold(item);
    return list;
  }
  // As long as a list is: it is made anew.
  copy(value) {
    this.spend(asList(value).length);
    return value;
  }
  own(record) {
    if (this.#shared.has(record)) throw new UserFacingError("The query changes a record that it has in several places.", "P6000");
    return record;
  }
  generate(lhs, rhs) {
    const weights = [lhs, rhs].map((side) => asList(side).reduce((sum, item) => sum + this.#weight(item, this.#left), 0));
    this.spend(Math.max(weights[0] * asList(rhs).length, weights[1] * asList(lhs).length));`);
change(1, "return found;", "return generators.product.share(found);", "function evaluateArg");
change(1, "...args.map((arg2) => evaluateArg(arg2, scope, generators))", "...generators.product.make(name, args.map((arg2) => evaluateArg(arg2, scope, generators)))", "function evaluateArg");
change(1, "return lastInsertId;", "return generators.product.share(lastInsertId);", "function evalFieldInitializer");

// Whoever counts has the counter.
change(1, "  async interpretNode(node, context) {", "  async interpretNode(node, context) {\n    const { generators } = context, counter = generators.product;");
change(1, "  #interpretPureNode(node, scope, generators) {", "  #interpretPureNode(node, scope, generators) {\n    const counter = generators.product;");
change(1, "generators, maxChunkSize) {", "generators, maxChunkSize) {\n  const counter = generators.product;", "function renderQuery");
for (const [name, count] of Object.entries({
  processRecords: 5, processOneRecord: 2, processNestedRecords: 3, processManyRecords: 2, distinctBy: 2, paginate: 2, paginateSingleList: 3, getRecordKey: 7,
  applyDataMap: 3, mapArrayOrObject: 4, mapObject: 3, mapField: 2, mapValue: 4, mapField2: 4, attachChildrenToParents: 3, chunkParams: 2, renderTemplateSql: 2,
})) change(count, ` ${name}(`, ` ${name}(counter, `);

change(2, "parts.reduce((acc, part) => acc.concat(asList(part)), [])", "parts.flatMap((part) => counter.holdAll(part))");
change(1, "asRecord(parent)", "counter.own(asRecord(parent))", "function attachChildrenToParents");
change(1, "of parentMap[key] ?? []) {", "of parentMap[key] ?? []) {\n        counter.hold(childRecord);", "function attachChildrenToParents");
change(2, "asRecord(value);\n        for", "counter.own(asRecord(value));\n        for");
change(1, "value.map((element)", "counter.copy(value).map((element)", "function mapField2");
change(2, "asList(from).filter", "asList(counter.copy(from)).filter");
change(2, "(counter, value, ops), lastInsertId", "(counter, counter.copy(value), ops), lastInsertId");
change(2, "applyDataMap(counter, value, ", "applyDataMap(counter, counter.copy(value), ");
change(2, "? value.reverse()", "? counter.lookThrough(value).reverse()");

// … and looks, at each of a record's fields that it is found by.
change(1, "JSON.stringify(array)", "counter.key(array)", "function getRecordKey");
change(1, "if (ops.distinct", "counter.lookThrough(records);\n  if (ops.distinct", "function processManyRecords");
change(1, "JSON.parse(value)", "JSON.parse(counter.lookInto(value))", "function processRecords");
change(1, "const cursorIndex", "counter.look(cursor !== null ? list.length * (1 + Object.keys(cursor).length) : 0);\n  const cursorIndex", "function paginateSingleList");
change(1, "let decodedData;", "counter.lookInto(data);\n    let decodedData;", "function mapArrayOrObject");
change(1, "switch (scalarType.type)", "counter.lookInto(value);\n  switch (scalarType.type)", "function mapValue");

// … and what a result has, each with its name.
change(1, "const result = {};", "const result = {};\n  counter.write(3 * getFieldEntries(fields).length || 2);", "function mapObject(");
change(1, "mapField(counter, data[dbName], dbName, node.fieldType, enums)", "counter.written(mapField(counter, data[dbName], dbName, node.fieldType, enums))", "function mapObject(");

// … and what of a statement's parameters is in each of its parts, and its text.
change(1, "chunks = chunkArray(fragment.value, availableSize);", "chunks = chunkArray(fragment.value, availableSize);\n          counter.spend(chunks.length * (fragments.length + maxChunkSize - availableSize));");
change(1, "completeChunks.push(currentChunk);\n            currentChunk = [];", "completeChunks.push(currentChunk);\n            counter.spend(fragments.length + totalParamCount - thisParamCount);\n            currentChunk = [];");
change(1, "    sql += renderFragment(", "    counter.render(fragment, placeholderFormat);\n    sql += renderFragment(", "function renderTemplateSql");

// A schema's nanoid() has no more characters.
change(1, 'typeof arg === "number"', 'typeof arg === "number" && arg <= 255', "var NanoIdGenerator");

process.stdout.write(source);

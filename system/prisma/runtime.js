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
// several ways to what has values of its own, it gets no more of them.
change(1, "      now: {", "      product: { value: new ProductGenerator() },\n      now: {");
change(1, "  generate(lhs, rhs) {", `  #left = 1000000;
  #held = new WeakSet(); // there is a way to it
  #shared = new WeakSet(); // … several
  spend(count) {
    if ((this.#left -= count) < 0) throw new UserFacingError("The query puts together more than 1000000 values, which is the limit here: ask for less at once.", "P6000");
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
change(1, "  async interpretNode(node, context) {", "  async interpretNode(node, context) {\n    const { generators } = context;");
change(2, "parts.reduce((acc, part) => acc.concat(asList(part)), [])", "parts.flatMap((part) => generators.product.holdAll(part))");
change(2, "attachChildrenToParents(parent, children, node.args.canAssumeStrictEquality)", "attachChildrenToParents(parent, children, node.args.canAssumeStrictEquality, generators.product)");
change(1, "canAssumeStrictEquality) {", "canAssumeStrictEquality, counter) {", "function attachChildrenToParents");
change(1, "asRecord(parent)", "counter.own(asRecord(parent))", "function attachChildrenToParents");
change(1, "of parentMap[key] ?? []) {", "of parentMap[key] ?? []) {\n        counter.hold(childRecord);", "function attachChildrenToParents");
change(2, "asRecord(value);\n        for", "generators.product.own(asRecord(value));\n        for");
change(2, "mapField2(value, node.args.field)", "mapField2(value, node.args.field, generators.product)");
change(1, "mapField2(value, field) {", "mapField2(value, field, counter) {");
change(1, "value.map((element) => mapField2(element, field))", "counter.copy(value).map((element) => mapField2(element, field, counter))");
change(2, "asList(from).filter", "asList(generators.product.copy(from)).filter");
change(2, "processRecords(value, ops), lastInsertId", "processRecords(generators.product.copy(value), ops), lastInsertId");
change(2, "applyDataMap(value, ", "applyDataMap(generators.product.copy(value), ");

// … and what of a statement's parameters is in each of its parts.
change(1, "chunkParams(dbQuery.fragments, args, maxChunkSize)", "chunkParams(dbQuery.fragments, args, maxChunkSize, generators.product)");
change(1, "params, maxChunkSize) {", "params, maxChunkSize, counter) {", "function chunkParams");
change(1, "chunks = chunkArray(fragment.value, availableSize);", "chunks = chunkArray(fragment.value, availableSize);\n          counter.spend(chunks.length * (fragments.length + maxChunkSize - availableSize));");
change(1, "completeChunks.push(currentChunk);\n            currentChunk = [];", "completeChunks.push(currentChunk);\n            counter.spend(fragments.length + totalParamCount - thisParamCount);\n            currentChunk = [];");

process.stdout.write(source);

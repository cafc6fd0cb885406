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

// What a plan puts together, and that once more, has so many values in all.
change(1, "      now: {", "      product: { value: new ProductGenerator() },\n      now: {");
change(1, "  generate(lhs, rhs) {", `  #left = 1000000;
  spend(list) {
    if ((this.#left -= list.length) < 0) throw new UserFacingError("The query puts together more than 1000000 values, which is the limit here: ask for less at once.", "P6000");
    return list;
  }
  generate(lhs, rhs) {
    this.spend({ length: asList(lhs).length * asList(rhs).length });`);
change(1, "  async interpretNode(node, context) {", "  async interpretNode(node, context) {\n    const { generators } = context;");
change(2, "acc.concat(asList(part))", "acc.concat(generators.product.spend(asList(part)))");

process.stdout.write(source);

# What is changed in Prisma's interpreter.

# It evaluates what a parameter's value is once more, and that again: without an end where it is that parameter. Here it is a value.
/^function evaluateArg/,/^}/s/ arg = / return /

# A record's fields are its own, not what all objects inherit, which have the names of some.
/^function mapField2/,/^}/s/ value\[field\] / (Object.hasOwn(value, field) ? value[field] : null) /
/^function processNestedRecords/,/^}/s/record\[key\] = /if (Object.hasOwn(record, key)) &/

# What a plan puts together, and that once more, has so many values in all.
/^  snapshot() {/,/^  }/s/      now: {/      product: { value: new ProductGenerator() },\n&/
/^var ProductGenerator/,/^};/s/^  generate(lhs, rhs) {/  #left = 1000000;\n  spend(list) {\n    if ((this.#left -= list.length) < 0) throw new UserFacingError("The query puts together more than 1000000 values, which is the limit here: ask for less at once.", "P6000");\n    return list;\n  }\n&\n    this.spend({ length: asList(lhs).length * asList(rhs).length });/
s/acc\.concat(asList(part))/acc.concat(generators.product.spend(asList(part)))/
/^  async interpretNode/,/^  }/s/generators\.product\.spend/context.&/

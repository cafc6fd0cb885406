// SPDX-License-Identifier: Apache-2.0
// NaN and the infinities, for which JSON has no form: JSON.stringify() makes them null, and what takes null for a number goes on
// with 0. Every parser of JSON reads 1e999 as Infinity. For NaN there is nothing that comes to be a number: a field has
// Prisma's Decimal of that value, which counts and compares as NaN does, and a column of a raw query the text that Postgres's own JSON has.
import pg from "pg";

const FLOATS = [700, 701], LISTS = [1021, 1022]; // types of Postgres: float4, float8
const INFINITY = "\0Infinity", NEGATIVE = "\0-Infinity"; // no text of Postgres has that character

// Until there may have been one, nobody looks for any: to look at each value takes several times as long as to write it.
let met = false;

const look = (value) => {
  if (!Number.isFinite(value)) met = true;
  return value;
};
const lookInList = (parse) => (text) => {
  const list = parse(text);
  list.flat(Infinity).forEach((value) => value !== null && look(value));
  return list;
};

export function watchFloats() {
  for (const type of FLOATS) pg.types.setTypeParser(type, (text) => look(parseFloat(text)));
  for (const type of LISTS) pg.types.setTypeParser(type, lookInList(pg.types.getTypeParser(type)));
}

// The rows of a relation come as JSON that Postgres has made, with these as texts. fields: the texts of such a row, or null.
export function watchJson(fields) {
  if (!met) met = fields.some((text) => text !== null && /(?:NaN|Infinity)"/.test(text));
}

const spelled = (value, nan) => (Number.isNaN(value) ? nan : value > 0 ? INFINITY : NEGATIVE);
const isOdd = (value) => typeof value === "number" && !Number.isFinite(value);
const ofRaw = (value) => (Array.isArray(value) ? value.map(ofRaw) : isOdd(value) ? spelled(value, "NaN") : value);
const isRaw = (value) => Array.isArray(value?.rows) && Array.isArray(value.rows[0]); // no field has lists of lists

function replaced(_, value) {
  if (isOdd(value)) return spelled(value, { $type: "Decimal", value: "NaN" });
  return isRaw(value) ? { ...value, rows: value.rows.map(ofRaw) } : value;
}

// As JSON.stringify().
export function textWithFloats(result) {
  const text = JSON.stringify(result);
  if (!met || !text.includes("null")) return text;
  return JSON.stringify(result, replaced).replaceAll('"\\u0000Infinity"', "1e999").replaceAll('"\\u0000-Infinity"', "-1e999");
}

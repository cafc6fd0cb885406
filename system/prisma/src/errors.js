// SPDX-License-Identifier: Apache-2.0
// Errors, in the forms in which Prisma's clients expect them.
import { UserFacingError } from "@prisma/client-engine-runtime";
import { env } from "cloudflare:workers";

import { dependencies } from "../package.json";

// A known error in the answer to a request, by its HTTP status.
export class Refusal extends Error {
  constructor(status, code, message, meta = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.meta = meta;
  }
}

// What the compiler says of a query.
export class CompileError extends Error {
  constructor({ message, code, meta }) {
    super(message);
    this.code = code;
    this.meta = meta;
  }
}

export class Panic extends Error {}

// A body that the clients of Prisma 5 and 6 read as the error of that name (data proxy errors).
export class ProxyError extends Error {
  constructor(status, body) {
    super(JSON.stringify(body));
    this.status = status;
    this.body = body;
  }
}

export const schemaMissing = () => new ProxyError(404, { EngineNotStarted: { reason: "SchemaMissing" } });
export const invalidRequest = (reason) => new Refusal(400, "P6000", reason);
export const tooLarge = (bytesMax) => new Refusal(413, "P6009", `The response is larger than ${bytesMax} bytes, which is the limit here: select less, or page through it.`);
export const otherProvider = (provider) =>
  new Refusal(400, "P1012", `The client's schema is for the provider ${JSON.stringify(provider.slice(0, 40))}, and this server's databases are Postgres: write provider = "postgresql" in its datasource, and generate the client anew.`);

const SERVED = dependencies["@prisma/client-engine-runtime"];
const served = (version) =>
  `This server answers @prisma/client 5 and 6 with a prisma:// URL, and 7, up to ${SERVED}, with accelerateUrl; the client says it is ${version ?? "none"}. Install one of these`;
export const unserved = (version) =>
  new ProxyError(400, { EngineNotStarted: { reason: { KnownEngineStartupError: { msg: `${served(version)}.`, error_code: "P5012" } } } });
// version: undefined where the client says none.
export const unknownRequest = (what, version, status = 400) => new Refusal(status, "P5012", `${what} is not known here. ${served(version)}, or a newer weir.`);

// How the interpreter says that it does not know a part of a plan.
const UNKNOWN = /^(?:(?:Unexpected|Unknown|Invalid|DataMapper: Invalid|DataMapper: Unknown) [a-z ]*(?:type|identifier|encoding)\b|Encountered an unknown generator)/;
const isNewer = (version) => version?.localeCompare(SERVED, "en", { numeric: true }) > 0;

// What a plan's run threw, as its client is told. A newer client's nodes may have other parts than the interpreter looks for.
export function planError(error, version) {
  const isUnknown = error instanceof Error && UNKNOWN.test(error.message) && !(error instanceof UserFacingError), isOther = error instanceof TypeError && isNewer(version);
  if (isOther) console.error(error); // it may be a fault of weir's
  return isUnknown || isOther ? unknownRequest(`A part of the query's plan (${error.message})`, version) : error;
}

// What Postgres said besides of an error, {detail, column, routine}: the adapter leaves it out of its cause (database.js).
export const TOLD = Symbol("told");

// Which fields a unique constraint is about: from Postgres's detail, in whatever language: Key (a, "b c", lower(d))=(1, 2, 3) already exists.
const PIECE = /"(?:[^"]|"")*"|'(?:[^']|'')*'|[^"'(),]+|[(),]/y;
function fieldsOf(detail) {
  const fields = [""];
  let depth = 0;
  PIECE.lastIndex = detail.indexOf("(") + 1;
  for (let piece; (piece = PIECE.exec(detail)?.[0]) !== undefined; ) {
    if (piece === ")" && depth-- === 0) return fields.map((field) => field.trim()).map((field) => (/^"(?:[^"]|"")*"$/.test(field) ? field.slice(1, -1).replaceAll('""', '"') : field));
    if (piece === "(") depth++;
    if (piece === "," && depth === 0) fields.push("");
    else fields[fields.length - 1] += piece;
  }
  return undefined;
}

function uniqueFields(cause) {
  const detail = cause?.[TOLD]?.detail;
  return (detail === undefined ? undefined : fieldsOf(detail)) ?? cause?.constraint?.fields;
}

// … and a violation of NOT NULL.
function nullFields(cause) {
  const column = cause?.[TOLD]?.column;
  return column === undefined ? cause?.constraint?.fields : [column];
}

// The interpreter's names for models and relations, as that engine has them.
const ENGINE_NAMES = { relation: "relation_name", parent: "parent_name", child: "child_name", modelA: "model_a_name", modelB: "model_b_name" };
const withEngineNames = (meta) => Object.fromEntries(Object.entries(meta).map(([name, value]) => [ENGINE_NAMES[name] ?? name, value]));

// What Prisma's own engine tells beside the message, by the error's code.
function metaOf({ code, message, meta = {} }) {
  if (code === "P2025") return { cause: message.replace(/^An operation failed because .* not found\. /, ""), ...meta };
  if (code === "P2028") return { error: message.replace(/^Transaction API error: /, ""), ...meta };
  if (code === "P2014" || code === "P2017") return withEngineNames(meta);
  const { driverAdapterError, table, ...rest } = meta;
  const cause = driverAdapterError?.cause;
  if (cause === undefined) return meta;
  const constraint = cause.constraint;
  switch (code) {
    case "P2000":
      return { column_name: cause.column ?? "(not available)", ...rest };
    case "P2002":
      return { target: uniqueFields(cause) ?? constraint?.index ?? null, ...rest };
    case "P2003":
      return { field_name: (constraint?.index && `${constraint.index} (index)`) ?? constraint?.fields?.join(", ") ?? "foreign key", constraint: constraint?.index, ...rest };
    case "P2010":
      return { code: cause.originalCode, message: cause.originalMessage, ...rest };
    case "P2011":
      return { constraint: nullFields(cause) ?? constraint?.index, ...rest };
    case "P2021":
      return { table: cause.table, ...rest };
    case "P2022":
      return { column: cause.column, ...rest };
    default:
      return rest;
  }
}

const named = (fields) => `fields: (${fields.map((field) => `\`${field}\``).join(", ")})`;
const some = (text) => (text === undefined ? "None" : `Some(${JSON.stringify(text)})`);

// As the clients of 5 and 6 know it: that of 7 names the constraint, and has a code for all that has no other (P2039).
function messageOf({ code, message, meta }) {
  const cause = meta?.driverAdapterError?.cause;
  const fields = code === "P2002" ? uniqueFields(cause) : code === "P2011" ? nullFields(cause) : undefined;
  if (fields !== undefined) return `${code === "P2002" ? "Unique constraint failed" : "Null constraint violation"} on the ${named(fields)}`;
  if (!isUnknown({ code }) || cause?.kind !== "postgres") return message;
  return `Error occurred during query execution:\nConnectorError(ConnectorError { user_facing_error: None, kind: QueryError(PostgresError { code: ${JSON.stringify(cause.code)}, message: ${JSON.stringify(cause.message)}, severity: ${JSON.stringify(cause.severity)}, detail: ${some(cause.detail)}, column: ${some(cause.column)}, hint: ${some(cause.hint)} }), transient: false })`;
}

const isUnknown = ({ code }) => code === "P2039";

// One entry of `errors` in an answer. index: of the query in its batch.
export function errorEntry(error, index) {
  const message = messageOf(error);
  const entry = { error: message, user_facing_error: { is_panic: false, message } };
  const told = entry.user_facing_error;
  if (error instanceof UserFacingError && !isUnknown(error)) {
    told.error_code = error.code;
    told.meta = metaOf(error);
  } else if (error instanceof CompileError && error.code !== undefined) {
    told.error_code = error.code;
    told.meta = error.meta;
  } else if (error instanceof Panic) {
    told.is_panic = true;
  } else if (!(error instanceof CompileError || error instanceof UserFacingError)) {
    console.error(error);
  }
  if (index !== undefined) told.batch_request_idx = index;
  return entry;
}

// What the engine throws where it has no room for what was asked, and the compiler. It is of the whole request, and would come again with it.
export function refusalOf(error) {
  const tooDeep = () => new Refusal(400, "P6000", "The request is nested more deeply than this server takes.");
  if (error instanceof CompileError && error.message.startsWith("JSON Error: recursion limit exceeded")) return tooDeep();
  if (!(error instanceof RangeError)) return error;
  if (error.message.startsWith("Out of memory")) {
    env.collectGarbage(); // or the next ones would find none either
    return new Refusal(503, "P6000", "The endpoint ran out of memory over its requests: ask for less at once.");
  }
  if (error.message.startsWith("Maximum call stack")) return tooDeep();
  return error;
}

// With a code, whatever it was: without one the clients of 5 and 6 ask again, and what has been written is written twice.
function known(error) {
  const told = refusalOf(error);
  if (told instanceof Refusal || told instanceof UserFacingError) return told;
  console.error(error);
  return new Refusal(500, "P6000", "The query could not be run: the server's log tells why.");
}

// The answer of the JSON protocol (5, 6) to what went wrong outside of queries.
export function answerOf(error) {
  if (error instanceof ProxyError) return Response.json(error.body, { status: error.status });
  const told = known(error), { status = 400, code, message } = told;
  return Response.json({ is_panic: false, message, meta: metaOf(told), error_code: code }, { status });
}

// The same for clients that send plans (7).
export function planAnswerOf(error) {
  if (error instanceof ProxyError) return Response.json(error.body, { status: error.status });
  const { status, code, message, meta } = known(error);
  return Response.json({ code, error: message, meta }, { status: status ?? (code === "P2028" ? 409 : 400) });
}

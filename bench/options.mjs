// SPDX-License-Identifier: Apache-2.0
// What the programs here can be told. It needs nothing installed, so that a mistake is known before all else is made:
// node bench/options.mjs PROGRAM ARGUMENT… ends with 0 (go on), 2 (misused) or 3 (the usage was asked for).
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const flag = { type: "boolean", default: false };
const programs = {
  run: {
    options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "4" }, write: flag },
    names: ["throughput", "files", "cold", "memory", "thousand", "connections"],
    text: `bench/run [NAME…] [--rounds N] [--seconds N] [--write]: weir beside other servers
  NAME       throughput, files, cold, memory, thousand or connections; without one all of them
  --rounds   medians of so many (5)
  --seconds  of load in each (4)
  --write    put the tables into docs/benchmarks.md`,
  },
  pool: {
    options: { quick: flag, write: flag, only: { type: "string", default: "" } },
    only: ["canned", "real", "tpcb", "unix", "canned-unix", "canned-tpcb", "canned-tpcb-unix", "tpcb-unix", "sides", "memory", "logins", "worker"],
    text: `bench/pool [--quick] [--write] [--only PART]: the pool beside PgBouncer and Postgres itself
  --quick  one round instead of the median of three, and no table with 1,000 clients
  --write  put the tables into docs/benchmarks.md
  --only   canned or real (select-only, TCP), unix, tpcb, tpcb-unix, canned-unix, canned-tpcb, canned-tpcb-unix,
           sides, memory, logins or worker
PGBOUNCER=/path/to/pgbouncer names a newer build, to be compared with beside Debian's.`,
  },
  prisma: {
    options: { quick: flag, write: flag, only: { type: "string", default: "" } },
    only: ["calls", "first", "many"],
    text: `bench/prisma [--quick] [--write] [--only PART]: Prisma's own client beside the endpoint
  --quick  fewer turns
  --write  put the tables into docs/benchmarks.md
  --only   calls, first (queries of what does not run yet) or many (500 requests at once)`,
  },
};

// What is wrong with them, or nothing.
function mistake({ options, names, only }, { values, positionals }) {
  const other = positionals.find((name) => !names.includes(name));
  if (other !== undefined) return `no part is named ${other}; there are ${names.join(", ")}`;
  if (only && values.only && !only.includes(values.only)) return `--only takes one of ${only.join(", ")}`;
  if (values.only && values.write) return "--write is of all parts together: the page would lose what --only leaves out";
  const number = ["rounds", "seconds"].find((name) => options[name] && !(Number(values[name]) > 0));
  return number && `--${number} takes a number`;
}

// {values, positionals}; prints the usage and ends the process where that is asked for, or the arguments are wrong.
export function readOptions(name, args = process.argv.slice(2), { help = 0 } = {}) {
  const program = programs[name];
  if (args.includes("--help") || args.includes("-h")) {
    console.log(`Usage: ${program.text}`);
    process.exit(help);
  }
  let wrong, parsed;
  try {
    parsed = parseArgs({ args, options: program.options, allowPositionals: program.names !== undefined });
    wrong = mistake(program, parsed);
  } catch (error) {
    wrong = error.message;
  }
  if (!wrong) return parsed;
  console.error(`bench/${name}: ${wrong}\nUsage: ${program.text}`);
  process.exit(2);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) readOptions(process.argv[2], process.argv.slice(3), { help: 3 });

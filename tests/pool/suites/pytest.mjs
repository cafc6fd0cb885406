// SPDX-License-Identifier: Apache-2.0
// Debian's pytest, and what each of its tests said.
import { readFileSync } from "node:fs";
import { join } from "node:path";

const unescape = (text) =>
  text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)).replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");

// Map of "file::test" => "" or why it failed; skipped ones are left out.
export async function pytest(execute, dir, args, env = {}, seconds = 1500, as = (command, rest) => [command, ...rest]) {
  const report = join(dir, "report.xml");
  const [command, ...rest] = as("/usr/bin/python3", ["-m", "pytest", "-q", "-W", "ignore", "--tb=short", `--junit-xml=${report}`, ...args]);
  const { output, status } = await execute(command, rest, { cwd: dir, env, seconds });
  const results = new Map();
  let xml;
  try {
    xml = readFileSync(report, "utf8");
  } catch {
    throw new Error(`pytest ended with ${status}:\n${output.slice(-3000)}`);
  }
  for (const [, head, body] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs)) {
    if (/<skipped/.test(body ?? "")) continue;
    const [, classname] = head.match(/classname="([^"]*)"/) ?? [], [, own] = head.match(/ name="([^"]*)"/) ?? [];
    if (own === undefined) continue; // of a test that ended its process
    const name = `${classname ?? ""}::${unescape(own)}`;
    const failure = body?.match(/<(?:failure|error)[^>]*message="([^"]*)"/);
    results.set(name, failure ? unescape(failure[1]).split("\n")[0].slice(0, 200) : "");
  }
  return results;
}

// SPDX-License-Identifier: Apache-2.0
// AsyncLocalStorage frames in async code: README.md, last section. `names` are the module's names for
// the cell (c), bindThenable (a), the function's frame (f) and a temporary (t).

// Values that are never thenables, so that they need no look at their `then`.
const plain = new Set([
  "Literal",
  "TemplateLiteral",
  "ArrayExpression",
  "ArrowFunctionExpression",
  "FunctionExpression",
  "BinaryExpression",
  "UnaryExpression",
  "UpdateExpression",
  "AwaitExpression",
]);

// Code at a function's entry.
export function frameEntry(names) {
  return `const ${names.f}=${names.c}.f;let ${names.t};`;
}

// topEntry() is called when the module itself suspends: its entry is the caller's to write.
export function addFrames(edits, sites, topEntry, names) {
  const restore = `${names.c}.f=${names.f}`;
  // [start, end, text] and [end, start, text] of the code that each belongs to: sorted at the end,
  // as Edits takes outer openings and inner closings first.
  const openings = [];
  const closings = [];

  function wrapThenable(argument, keywordEnd) {
    if (plain.has(argument.type)) return;
    // The space keeps `await(x)` from becoming one word.
    const space = argument.start === keywordEnd ? " " : "";
    const list = argument.type === "SequenceExpression";
    openings.push([argument.start, argument.end, `${space}${names.a}(${list ? "(" : ""}`]);
    closings.push([argument.end, argument.start, list ? "))" : ")"]);
  }

  function suspension({ node, whole, hazard }, keyword) {
    if (whole) {
      closings.push([node.end, node.start, `,${restore}`]);
    } else {
      openings.push([node.start, node.end, `${hazard ? ";" : ""}(${names.t}=`]);
      closings.push([node.end, node.start, `,${restore},${names.t})`]);
    }
    if (node.argument && !node.delegate) wrapThenable(node.argument, node.start + keyword);
  }

  for (const site of sites) {
    const { node } = site;
    const isModule = node.type === "Program";
    const concise = !isModule && node.body.type !== "BlockStatement";
    if (site.suspends) {
      if (concise) {
        openings.push([node.body.start, node.body.end, `{${frameEntry(names)}return ${names.a}(`]);
        closings.push([node.body.end, node.body.start - 1, ")}"]);
      } else if (!isModule) {
        const { at, text } = afterDirectives(node.body, frameEntry(names));
        openings.push([at, node.body.end, text]);
      } else {
        topEntry();
      }
      for (const point of site.awaits) suspension(point, "await".length);
      for (const point of site.yields) suspension(point, "yield".length);
      for (const block of site.handlers) {
        openings.push([block.start + 1, block.end, `${restore};`]);
      }
      for (const { node: loop, start, end } of site.loops) {
        openings.push([start, end, "try{"]);
        closings.push([end, start - 1, `}finally{${restore}}`]);
        const { body } = loop;
        if (body.type === "BlockStatement") {
          openings.push([body.start + 1, body.end, `${restore};`]);
        } else {
          openings.push([body.start, body.end, `{${restore};`]);
          closings.push([body.end, body.start, "}"]);
        }
      }
    } else if (concise && site.async) {
      wrapThenable(node.body, -1);
    }
    for (const statement of site.returns) {
      wrapThenable(statement.argument, statement.start + "return".length);
    }
  }

  // Outer first: the one that ends later. Equal spans keep the order in which they were recorded.
  openings.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  for (const [at, , text] of openings) edits.open(at, text);
  closings.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  for (const [at, , text] of closings) edits.close(at, text);
}

// Where a function's code may start: before a directive it would take its force.
function afterDirectives(block, code) {
  let at = block.start + 1;
  let text = code;
  for (const statement of block.body) {
    if (statement.directive === undefined) break;
    at = statement.end;
    text = `;${code}`;
  }
  return { at, text };
}

// SPDX-License-Identifier: Apache-2.0
// One walk over a module's tree: which names it imports and exports, where imported and exported
// names are used, and the places that frames.js must edit.
//
// Scopes are tracked for a few names only: those imported, and those exported (is an export ever
// assigned inside a function? then importers cannot copy it). Declarations may follow their uses, so
// uses are resolved after the walk.

class Scope {
  constructor(parent, isVarScope) {
    this.parent = parent;
    this.isVarScope = isVarScope;
    this.names = null;
  }

  declare(name) {
    (this.names ??= new Set()).add(name);
  }
}

// A function (or the module itself) and where it may be suspended.
class FunctionSites {
  constructor(node, parent) {
    this.node = node;
    this.parent = parent;
    this.async = node.async === true;
    this.generator = node.generator === true;
    this.awaits = []; // {node, whole: an expression statement of its own, hazard}
    this.yields = []; // the same; async generators only
    this.loops = []; // for await: {node, start, end} of the statement with its labels
    this.handlers = []; // blocks of catch and finally
    this.returns = []; // return statements with an argument
  }

  get suspends() {
    return this.awaits.length > 0 || this.loops.length > 0 || this.yields.length > 0;
  }
}

const stringOf = (node) => (node.type === "Literal" ? node.value : node.name);

// The module's interface, from its top-level statements alone.
function readInterface(program, fail) {
  const imports = []; // {specifier, attributes, node}
  const byKey = new Map();
  const bindings = new Map(); // local name → {import: index, name: imported name or null}
  const exports = new Map(); // exported name → {local} | {import, from} ; from null: namespace
  const starFrom = [];

  function importOf(node) {
    const attributes = attributesOf(node, fail);
    const key = node.source.value + "\0" + (attributes ? JSON.stringify(attributes) : "");
    let index = byKey.get(key);
    if (index === undefined) {
      index = imports.length;
      byKey.set(key, index);
      imports.push({
        specifier: node.source.value,
        attributes,
        start: node.start,
        names: new Map(), // imported name → offset of its first mention
        namespace: false,
      });
    }
    return index;
  }

  function mention(index, name, offset) {
    const { names } = imports[index];
    if (!names.has(name)) {
      names.set(name, offset);
    }
  }

  for (const node of program.body) {
    switch (node.type) {
      case "ImportDeclaration": {
        const index = importOf(node);
        for (const specifier of node.specifiers) {
          let name = null;
          if (specifier.type === "ImportDefaultSpecifier") name = "default";
          else if (specifier.type === "ImportSpecifier") name = stringOf(specifier.imported);
          if (name === null) imports[index].namespace = true;
          else mention(index, name, specifier.start);
          bindings.set(specifier.local.name, { import: index, name });
        }
        break;
      }
      case "ExportAllDeclaration": {
        const index = importOf(node);
        imports[index].namespace = true;
        if (node.exported) exports.set(stringOf(node.exported), { import: index, from: null });
        else starFrom.push(index);
        break;
      }
      case "ExportNamedDeclaration":
        if (node.source) {
          const index = importOf(node);
          for (const specifier of node.specifiers) {
            const from = stringOf(specifier.local);
            mention(index, from, specifier.start);
            exports.set(stringOf(specifier.exported), { import: index, from });
          }
        } else if (node.declaration) {
          for (const name of declaredNames(node.declaration)) {
            exports.set(name, { local: name });
          }
        } else {
          for (const specifier of node.specifiers) {
            exports.set(stringOf(specifier.exported), { local: specifier.local.name });
          }
        }
        break;
      case "ExportDefaultDeclaration": {
        const { declaration } = node;
        const named =
          (declaration.type === "FunctionDeclaration" || declaration.type === "ClassDeclaration") &&
          declaration.id;
        exports.set("default", named ? { local: declaration.id.name } : { local: null });
        break;
      }
    }
  }
  // `import {a} from …; export {a}` is a re-export.
  for (const [name, entry] of exports) {
    const binding = entry.local !== undefined && bindings.get(entry.local);
    if (binding) {
      exports.set(name, { import: binding.import, from: binding.name });
    }
  }
  return { imports, bindings, exports, starFrom };
}

function attributesOf(node, fail) {
  if (!node.attributes || node.attributes.length === 0) {
    return null;
  }
  const attributes = {};
  for (const attribute of node.attributes) {
    const key = stringOf(attribute.key);
    if (key !== "type") {
      fail(attribute.start, `unknown import attribute "${key}"; only "type" exists`);
    }
    attributes[key] = attribute.value.value;
  }
  return attributes;
}

export function declaredNames(declaration) {
  if (declaration.type !== "VariableDeclaration") {
    return [declaration.id.name];
  }
  const names = [];
  for (const declarator of declaration.declarations) {
    patternNames(declarator.id, names);
  }
  return names;
}

function patternNames(node, names) {
  switch (node.type) {
    case "Identifier":
      names.push(node.name);
      break;
    case "ObjectPattern":
      for (const property of node.properties) {
        patternNames(property.type === "RestElement" ? property : property.value, names);
      }
      break;
    case "ArrayPattern":
      for (const element of node.elements) {
        if (element) patternNames(element, names);
      }
      break;
    case "AssignmentPattern":
      patternNames(node.left, names);
      break;
    case "RestElement":
      patternNames(node.argument, names);
      break;
  }
}

// options: module (else a script), frames (collect what frames.js needs), fail(offset, message).
export function analyse(program, text, { module: isModule, frames: wantFrames, fail }) {
  const face = isModule
    ? readInterface(program, fail)
    : { imports: [], bindings: new Map(), exports: new Map(), starFrom: [] };
  const tracked = new Set(face.bindings.keys());
  for (const { local } of face.exports.values()) {
    if (local) tracked.add(local);
  }
  // CommonJS packages in a bundle of ES modules: esbuild calls a `require` of the module if there is one, and else throws.
  const wantsRequire = isModule && text.includes('Dynamic require of "') && !tracked.has("require");
  if (wantsRequire) tracked.add("require");
  let ownRequire = false; // the module declares one itself

  const uses = []; // {node, kind, scope, inFunction, hazard} of tracked names
  const assigned = new Set(); // module-level names assigned inside a function
  const imports = []; // ImportExpression nodes
  const metas = []; // import.meta nodes
  const topArguments = []; // `arguments` that is no function's
  const comments = []; // offsets of `<!--`, a comment in scripts but operators in modules
  const sites = []; // every FunctionSites that suspends or returns
  const moduleScope = new Scope(null, true);
  const top = new FunctionSites(program, null);
  const mayHaveComment = isModule && text.includes("<!--");

  let scope = moduleScope;
  let sitesNow = top;
  let depth = 0; // of functions: 0 is module code
  let ownArguments = 0; // of functions that have `arguments`
  let listed = null; // the statement being visited, if it stands in a list of statements
  let hazard = -1; // its offset: an edit that begins with "(" there needs a ";" before
  let labelStart = -1;

  function use(node, kind) {
    const { name } = node;
    if (tracked.has(name)) {
      uses.push({ node, kind, scope, inFunction: depth > 0, hazard: node.start === hazard });
    } else if (name === "arguments" && ownArguments === 0) {
      topArguments.push({ node, kind });
    }
  }

  // --- declarations ---

  function declare(name, inVarScope) {
    if (!tracked.has(name)) return;
    let target = scope;
    if (inVarScope) {
      while (!target.isVarScope) target = target.parent;
    }
    if (target !== moduleScope) target.declare(name);
    else if (name === "require") ownRequire = true;
  }

  // A pattern of a declaration: declares its names, visits defaults and computed keys.
  function declarePattern(node, inVarScope) {
    switch (node.type) {
      case "Identifier":
        declare(node.name, inVarScope);
        break;
      case "ObjectPattern":
        for (const property of node.properties) {
          if (property.type === "RestElement") {
            declarePattern(property.argument, inVarScope);
          } else {
            if (property.computed) visit(property.key);
            declarePattern(property.value, inVarScope);
          }
        }
        break;
      case "ArrayPattern":
        for (const element of node.elements) {
          if (element) declarePattern(element, inVarScope);
        }
        break;
      case "AssignmentPattern":
        declarePattern(node.left, inVarScope);
        visit(node.right);
        break;
      case "RestElement":
        declarePattern(node.argument, inVarScope);
        break;
    }
  }

  // --- functions and classes ---

  function visitFunction(node) {
    const isArrow = node.type === "ArrowFunctionExpression";
    const outer = { scope, sitesNow, labelStart, hazard };
    if (node.type === "FunctionExpression" && node.id) {
      scope = new Scope(scope, false);
      declare(node.id.name, false);
    }
    depth++;
    if (!isArrow) ownArguments++;
    labelStart = -1;
    sitesNow = new FunctionSites(node, outer.sitesNow);
    // Parameters are a scope of their own: a `var` of the body is not seen by their defaults.
    scope = new Scope(scope, false);
    for (const parameter of node.params) {
      declarePattern(parameter, false);
    }
    scope = new Scope(scope, true);
    if (node.body.type === "BlockStatement") {
      visitList(node.body.body);
    } else {
      visit(node.body);
    }
    if (sitesNow.async) {
      sites.push(sitesNow);
    }
    if (!isArrow) ownArguments--;
    depth--;
    ({ scope, sitesNow, labelStart, hazard } = outer);
  }

  function visitClass(node) {
    const outer = scope;
    scope = new Scope(scope, false); // heritage and computed keys see the inner name too
    if (node.id) declare(node.id.name, false);
    if (node.superClass) visit(node.superClass);
    for (const member of node.body.body) {
      if (member.type === "StaticBlock") {
        visitClassCode(() => visitList(member.body));
        continue;
      }
      if (member.computed) visit(member.key);
      if (member.type === "PropertyDefinition") {
        if (member.value) visitClassCode(() => visit(member.value));
      } else {
        visitFunction(member.value);
      }
    }
    scope = outer;
  }

  // Field initialisers and static blocks are functions in all but syntax.
  function visitClassCode(run) {
    const outer = { scope, sitesNow, labelStart, hazard };
    scope = new Scope(scope, true);
    sitesNow = new FunctionSites(program, outer.sitesNow);
    labelStart = -1;
    depth++;
    ownArguments++;
    run();
    ownArguments--;
    depth--;
    ({ scope, sitesNow, labelStart, hazard } = outer);
  }

  // --- statements ---

  function visitList(statements) {
    for (let i = 0; i < statements.length; i++) {
      listed = statements[i];
      visit(statements[i]);
    }
  }

  function visitBlock(statements) {
    const outer = scope;
    scope = new Scope(scope, false);
    visitList(statements);
    scope = outer;
  }

  function visitVariables(node) {
    const inVarScope = node.kind === "var";
    if (node.kind === "using" || node.kind === "await using") {
      fail(node.start, `"${node.kind}" declarations are not supported; bundle with target es2024`);
    }
    for (const declarator of node.declarations) {
      declarePattern(declarator.id, inVarScope);
      if (declarator.init) visit(declarator.init);
    }
  }

  // A pattern or target of an assignment.
  function visitTarget(node) {
    switch (node.type) {
      case "Identifier":
        use(node, "write");
        break;
      case "ParenthesizedExpression":
        visitTarget(node.expression);
        break;
      case "ObjectPattern":
        for (const property of node.properties) {
          if (property.type === "RestElement") {
            visitTarget(property.argument);
          } else if (property.shorthand) {
            const { value } = property;
            const hasDefault = value.type === "AssignmentPattern";
            use(hasDefault ? value.left : value, "write-shorthand");
            if (hasDefault) visit(value.right);
          } else {
            if (property.computed) visit(property.key);
            visitTarget(property.value);
          }
        }
        break;
      case "ArrayPattern":
        for (const element of node.elements) {
          if (element) visitTarget(element);
        }
        break;
      case "AssignmentPattern":
        visitTarget(node.left);
        visit(node.right);
        break;
      case "RestElement":
        visitTarget(node.argument);
        break;
      default:
        visit(node);
    }
  }

  function visitLoopHead(node) {
    if (node.left.type === "VariableDeclaration") visitVariables(node.left);
    else visitTarget(node.left);
    visit(node.right);
  }

  function visitBody(node) {
    listed = null;
    visit(node);
  }

  function visitCallee(node) {
    let inner = node;
    while (inner.type === "ParenthesizedExpression") inner = inner.expression;
    if (inner.type === "Identifier") use(inner, "call");
    else visit(node);
  }

  function suspension(node, list) {
    if (!wantFrames) return;
    list.push({ node, whole: wholeStatement === node, hazard: node.start === hazard });
  }

  let wholeStatement = null;

  function visit(node) {
    switch (node.type) {
      case "Identifier":
        use(node, "read");
        return;
      case "Literal":
      case "ThisExpression":
      case "Super":
      case "PrivateIdentifier":
      case "EmptyStatement":
      case "DebuggerStatement":
      case "BreakStatement":
      case "ContinueStatement":
        return;
      case "MemberExpression":
        visit(node.object);
        if (node.computed) visit(node.property);
        return;
      case "CallExpression":
        visitCallee(node.callee);
        for (let i = 0; i < node.arguments.length; i++) visit(node.arguments[i]);
        return;
      case "NewExpression":
        visit(node.callee);
        for (let i = 0; i < node.arguments.length; i++) visit(node.arguments[i]);
        return;
      case "ExpressionStatement":
        if (listed === node) hazard = node.start;
        wholeStatement = node.expression;
        visit(node.expression);
        return;
      case "BinaryExpression":
      case "LogicalExpression": {
        // Long chains lean to the left: no recursion there.
        const rights = [];
        let left = node;
        while (left.type === "BinaryExpression" || left.type === "LogicalExpression") {
          rights.push(left);
          left = left.left;
        }
        visit(left);
        for (let i = rights.length - 1; i >= 0; i--) {
          const { operator, right } = rights[i];
          if (mayHaveComment && operator === "<") {
            if (text.startsWith("<!--", right.start - 1)) comments.push(right.start);
          }
          visit(right);
        }
        return;
      }
      case "AssignmentExpression":
        visitTarget(node.left);
        visit(node.right);
        return;
      case "UpdateExpression":
        visitTarget(node.argument);
        return;
      case "UnaryExpression":
      case "SpreadElement":
        visit(node.argument);
        return;
      case "ParenthesizedExpression":
        visit(node.expression);
        return;
      case "ChainExpression":
        visit(node.expression);
        return;
      case "ConditionalExpression":
        visit(node.test);
        visit(node.consequent);
        visit(node.alternate);
        return;
      case "SequenceExpression":
        for (let i = 0; i < node.expressions.length; i++) visit(node.expressions[i]);
        return;
      case "ArrayExpression":
        for (let i = 0; i < node.elements.length; i++) {
          if (node.elements[i]) visit(node.elements[i]);
        }
        return;
      case "ObjectExpression":
        for (let i = 0; i < node.properties.length; i++) {
          const property = node.properties[i];
          if (property.type === "SpreadElement") {
            visit(property.argument);
          } else if (property.shorthand) {
            use(property.value, "shorthand");
          } else {
            if (property.computed) visit(property.key);
            visit(property.value);
          }
        }
        return;
      case "TemplateLiteral":
        for (let i = 0; i < node.expressions.length; i++) visit(node.expressions[i]);
        return;
      case "TaggedTemplateExpression":
        visitCallee(node.tag);
        visit(node.quasi);
        return;
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        visitFunction(node);
        return;
      case "FunctionDeclaration":
        if (node.id) declare(node.id.name, !isModule && scope.isVarScope);
        visitFunction(node);
        return;
      case "ClassExpression":
        visitClass(node);
        return;
      case "ClassDeclaration":
        if (node.id) declare(node.id.name, false);
        visitClass(node);
        return;
      case "AwaitExpression":
        suspension(node, sitesNow.awaits);
        if (sitesNow === top) top.async = true;
        visit(node.argument);
        return;
      case "YieldExpression":
        if (sitesNow.async) suspension(node, sitesNow.yields);
        if (node.argument) visit(node.argument);
        return;
      case "ImportExpression":
        imports.push(node);
        visit(node.source);
        if (node.options) visit(node.options);
        return;
      case "MetaProperty":
        if (node.meta.name === "import") metas.push(node);
        return;
      case "VariableDeclaration":
        visitVariables(node);
        return;
      case "ReturnStatement":
        if (node.argument) {
          if (wantFrames && sitesNow.async) sitesNow.returns.push(node);
          visit(node.argument);
        }
        return;
      case "ThrowStatement":
        visit(node.argument);
        return;
      case "BlockStatement":
        visitBlock(node.body);
        return;
      case "IfStatement":
        visit(node.test);
        visitBody(node.consequent);
        if (node.alternate) visitBody(node.alternate);
        return;
      case "LabeledStatement": {
        const outer = labelStart;
        const { type } = node.body;
        if (type !== "LabeledStatement" && type !== "ForOfStatement") labelStart = -1;
        else if (labelStart < 0) labelStart = node.start;
        visitBody(node.body);
        labelStart = outer;
        return;
      }
      case "ForStatement": {
        const outer = scope;
        scope = new Scope(scope, false);
        if (node.init) visit(node.init);
        if (node.test) visit(node.test);
        if (node.update) visit(node.update);
        visitBody(node.body);
        scope = outer;
        return;
      }
      case "ForInStatement":
      case "ForOfStatement": {
        const outer = scope;
        if (node.await) {
          if (sitesNow === top) top.async = true;
          if (wantFrames) {
            const start = labelStart < 0 ? node.start : labelStart;
            sitesNow.loops.push({ node, start, end: node.end });
          }
        }
        labelStart = -1;
        scope = new Scope(scope, false);
        visitLoopHead(node);
        visitBody(node.body);
        scope = outer;
        return;
      }
      case "WhileStatement":
        visit(node.test);
        visitBody(node.body);
        return;
      case "DoWhileStatement":
        visitBody(node.body);
        visit(node.test);
        return;
      case "SwitchStatement": {
        visit(node.discriminant);
        const outer = scope;
        scope = new Scope(scope, false);
        for (const branch of node.cases) {
          if (branch.test) visit(branch.test);
          visitList(branch.consequent);
        }
        scope = outer;
        return;
      }
      case "TryStatement":
        visitBlock(node.block.body);
        if (node.handler) {
          const outer = scope;
          if (wantFrames) sitesNow.handlers.push(node.handler.body);
          scope = new Scope(scope, false);
          if (node.handler.param) declarePattern(node.handler.param, false);
          visitBlock(node.handler.body.body);
          scope = outer;
        }
        if (node.finalizer) {
          if (wantFrames) sitesNow.handlers.push(node.finalizer);
          visitBlock(node.finalizer.body);
        }
        return;
      case "WithStatement":
        visit(node.object);
        visitBody(node.body);
        return;
      case "ImportDeclaration":
      case "ExportAllDeclaration":
        return;
      case "ExportNamedDeclaration":
        if (node.declaration) visit(node.declaration);
        return;
      case "ExportDefaultDeclaration":
        visit(node.declaration);
        return;
      default:
        fail(node.start, `unexpected syntax (${node.type})`);
    }
  }

  visitList(program.body);
  sites.push(top);

  const importUses = [];
  for (const entry of uses) {
    let at = entry.scope;
    const { name } = entry.node;
    while (at !== moduleScope && !at.names?.has(name)) at = at.parent;
    if (at !== moduleScope) continue;
    if (face.bindings.has(name)) importUses.push(entry);
    else if (entry.inFunction && entry.kind.startsWith("write")) assigned.add(name);
  }
  return {
    program,
    ...face,
    async: top.async,
    importUses,
    assigned,
    importExpressions: imports,
    metas,
    topArguments,
    comments,
    sites,
    top,
    requires: wantsRequire && !ownRequire,
  };
}

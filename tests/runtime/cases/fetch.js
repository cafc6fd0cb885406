// SPDX-License-Identifier: Apache-2.0
//// index.js
const routes = {
  async "/get"() {
    const response = await fetch("http://far/x#hash", { headers: { A: "b" } });
    return Response.json([response.status, response.statusText, response.url, response.redirected, response.headers.get("c"), await response.text()]);
  },
  async "/post"() {
    const response = await fetch("http://far/", { method: "POST", body: "sent" });
    return new Response(response.body, response);
  },
  async "/proxy"(request) {
    return fetch(request);
  },
  async "/upload"(request) {
    const response = await fetch("http://far/", { method: "PUT", body: request.body });
    return new Response(await response.text());
  },
  async "/signal"() {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 2);
    try {
      await fetch("http://far/slow", { signal: controller.signal });
    } catch (error) {
      return new Response(error.name);
    }
  },
  async "/timeout"() {
    try {
      await fetch("http://far/slow", { signal: AbortSignal.timeout(2) });
    } catch (error) {
      return new Response(error.name);
    }
  },
  async "/abort-body"() {
    const controller = new AbortController();
    const response = await fetch("http://far/endless", { signal: controller.signal });
    setTimeout(() => controller.abort(), 2);
    return new Response(await response.text().catch((error) => error.name));
  },
  async "/errors"() {
    const text = async (promise) => promise.then(() => "none", (error) => `${error.name}: ${error.message}`);
    return Response.json([
      await text(fetch("/relative")), await text(fetch("ftp://x/")), await text(fetch("http://far/refused")),
      await text(fetch("http://far/forbidden")), await text(fetch("http://far/", { signal: AbortSignal.abort() })), await text(fetch()),
    ]);
  },
  async "/modes"() {
    for (const redirect of ["follow", "manual", "error"]) await fetch("http://far/", { redirect });
    return new Response();
  },
  async "/limit"() {
    for (let i = 0; i < 3; i++) await fetch("http://far/");
    return new Response(await fetch("http://far/").then(() => "none", (error) => error.message));
  },
  async "/assets"(request, env) {
    return env.ASSETS.fetch(new Request("http://assets/index.html", request));
  },
  async "/cancel"() {
    const response = await fetch("http://far/endless");
    await response.body.cancel();
    return new Response("cancelled");
  },
  "/forgotten"() {
    fetch("http://far/slow");
    return new Response("ok");
  },
  async "/head"() {
    const response = await fetch("http://far/", { method: "HEAD" });
    return new Response(String(response.body));
  },
  async "/immutable"() {
    const response = await fetch("http://far/");
    try {
      response.headers.set("a", "b");
    } catch (error) {
      return new Response(error.message);
    }
  },
};
export default { fetch: (request, env, ctx) => routes[new URL(request.url).pathname](request, env, ctx) };
//// manifest
{"env": {"vars": {}, "assets": "ASSETS"}}
//// driver
native.subrequestsMax = () => 3;
equal(await gateway.boot(bundle), "", "boot");
let seen = [];
gateway.onFetch((exchange) => {
  seen.push(exchange);
  const { url } = exchange;
  if (url.endsWith("/slow")) return;
  if (url.endsWith("/refused")) return exchange.fail(2001, "Network connection lost.");
  if (url.endsWith("/forbidden")) return exchange.fail(2004, "This address is not allowed.");
  if (url.endsWith("/endless")) return exchange.respond(200, "", "first", { fin: false });
  if (exchange.method === "PUT") return void exchange.until((e) => e.fin).then(() => exchange.respond(200, "", `got ${exchange.body}`));
  exchange.respond(201, "c: d\nset-cookie: a=1\nset-cookie: b=2\n", `${exchange.method} ${exchange.text()}`, { url: "http://far/final", redirects: 1 });
});
const get = (path, options) => gateway.request(`http://host${path}`, options);
const FOLLOW = 4, ERROR = 8, FIN = 1, BODY = 2;

test("a request goes out, its answer comes back", async () => {
  equal((await get("/get")).body, '[201,"Created","http://far/final",true,"d","GET "]');
  const [sent] = seen.splice(0);
  equal([sent.target, sent.method, sent.url, sent.headers, sent.flags], [0, "GET", "http://far/x", "a: b\n", FOLLOW | FIN]);
});
test("bodies both ways", async () => {
  const answer = await get("/post");
  equal([answer.status, answer.body, answer.headers], [201, "POST sent", "c: d\nset-cookie: a=1\nset-cookie: b=2\n"]);
  equal([seen[0].flags, seen.splice(0)[0].headers], [FOLLOW | FIN | BODY, "content-type: text/plain;charset=UTF-8\n"]);
  const upload = gateway.open("http://host/upload", { method: "POST", body: null });
  await new Promise((resolve) => setTimeout(resolve, 1));
  upload.send("a");
  await new Promise((resolve) => setTimeout(resolve, 1));
  upload.send("b", true);
  equal((await upload.answered()).body, "got ab");
});
test("a worker in between", async () => {
  seen = [];
  const answer = await get("/proxy", { method: "POST", body: "through", headers: { "x-y": "z" } });
  equal([answer.status, answer.body], [201, "POST through"]);
  match(seen[0].headers, /x-y: z\n/);
  equal(seen[0].flags & FOLLOW, 0, "a client's request is not redirected on its way");
});
test("signals", async () => {
  seen = [];
  equal((await get("/signal")).body, "AbortError");
  equal(seen.splice(0)[0].aborted, true);
  equal((await get("/timeout")).body, "TimeoutError");
  equal((await get("/abort-body")).body, "AbortError");
});
test("errors are those of the platform", async () => {
  const [relative, scheme, refused, forbidden, aborted, none] = JSON.parse((await get("/errors")).body);
  equal([relative, scheme], ["TypeError: Invalid URL: /relative", "TypeError: Fetch API cannot load: ftp://x/"]);
  equal([refused, forbidden], ["Error: Network connection lost.", "TypeError: This address is not allowed."]);
  match(aborted, /^AbortError/);
  match(none, /^TypeError: Failed to execute 'fetch'/);
});
test("redirect modes", async () => {
  seen = [];
  await get("/modes");
  equal(seen.map((exchange) => exchange.flags & (FOLLOW | ERROR)), [FOLLOW, 0, ERROR]);
});
test("the limit of subrequests", async () => {
  equal((await get("/limit")).body, "Too many subrequests.");
});
test("assets are another target", async () => {
  seen = [];
  const answer = await get("/assets", { headers: { accept: "x" } });
  equal([answer.status, seen[0].target, seen[0].url, seen[0].headers], [201, 1, "http://assets/index.html", "accept: x\n"]);
});
test("what is cancelled or forgotten is aborted", async () => {
  seen = [];
  equal((await get("/cancel")).body, "cancelled");
  equal(seen[0].aborted, true);
  seen = [];
  await get("/forgotten");
  equal([...gateway.fetches.values()].at(-1).aborted, true);
});
test("small print", async () => {
  equal((await get("/head")).body, "null");
  equal((await get("/immutable")).body, "Can't modify immutable headers.");
});

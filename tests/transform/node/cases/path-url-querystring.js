import path, { posix, win32 } from "node:path";
import * as posixModule from "node:path/posix";
import url, { fileURLToPath, pathToFileURL, urlToHttpOptions, domainToASCII } from "node:url";
import querystring from "node:querystring";
const paths = ["", ".", "/", "//", "a", "a/b", "/a/b/", "./a/../b", "../..", "/..", "a/b.c.d", ".hidden", "a/.x.y", "a//b//../c", "/a/b/c.html", "a/b/.", "trailing/", "C:\\a\\b.txt", "c:/x/../y", "\\\\server\\share\\dir\\f", "C:", "C:\\", "C:a", "..\\..\\x", "a\\b/c"];
for (const p of paths) log(p, posix.normalize(p), posix.dirname(p), posix.basename(p), posix.extname(p), posix.isAbsolute(p), posix.parse(p), posix.join("x", p, "y"));
for (const p of paths) log(p, win32.normalize(p), win32.dirname(p), win32.basename(p), win32.extname(p), win32.isAbsolute(p), win32.parse(p).base);
log(posix.resolve("/a", "b", "../c"), posix.relative("/a/b/c", "/a/d"), posix.format({ dir: "/x", name: "f", ext: ".e" }), posix.basename("a.html", ".html"), path.sep, path.delimiter, path === posix, posixModule.join("a", "b"), path.win32.sep);
log(win32.join("C:\\a", "..", "b"), win32.resolve("C:\\a", "..\\b"), win32.relative("C:\\a\\b", "C:\\a\\c\\d"), win32.format({ dir: "C:\\x", base: "f.e" }));
try { path.join(5) } catch (error) { log(error.name, error.code, error.message) }
for (const u of ["http://user:pa%20ss@Host.com:8080/p/a/t/h?query=string&a=1#hash", "/a/b?x", "mailto:a@b.c", "//host/path", "http://x.y", "http://x.y?z", "javascript:alert(1)", "http://[::1]:3000/a", "a b", "http://a.com/\"'<>", "HTTP://EXAMPLE.com/A", "?q", "#h", ""]) {
  const parsed = url.parse(u); log(u, { ...parsed }, url.format(parsed), url.parse(u, true).query, url.parse(u, false, true).host);
}
for (const [from, to] of [["/one/two/three", "four"], ["http://example.com/", "/one"], ["http://example.com/one", "/two"], ["http://a.com/b/c/d", "../x/./y"], ["http://a.com/b", "//c.com/d"], ["http://a.com/b?x#y", "?z"], ["http://a.com/b", "#f"], ["a/b", "../../c"], ["http://a.com", "https://b.com/x"]]) log(url.resolve(from, to));
log(url.format({ protocol: "http", host: "a.com", pathname: "x", query: { a: 1, b: [2, 3] } }), url.format(new URL("http://u:p@a.com/x?y#z"), { auth: false, fragment: false, search: false }), url.format({ hostname: "h", port: 80, hash: "x" }));
log(fileURLToPath("file:///a%20b/c"), pathToFileURL("/a b/c#d?e%f").href, { ...urlToHttpOptions(new URL("http://u:p@a.com:81/x?y#z")) }, domainToASCII("español.com"), url.URL === URL);
for (const u of ["http://x/", "file://host/x", "file:///a%2fb"]) try { log(fileURLToPath(u)) } catch (error) { log(error.code) }
for (const q of ["a=1&b=2&a=3", "a=%20+b&c", "=x&&y=", "a%zz=%41%", "foo=bar=baz", "%E4%BD%A0=%e5%a5%bd", "a=1;b=2"]) log(q, { ...querystring.parse(q) });
log({ ...querystring.parse("a:1;b:2", ";", ":") }, { ...querystring.parse("a=1&b=2&c=3", null, null, { maxKeys: 2 }) }, querystring.stringify({ a: 1, b: ["x", "y z"], c: true, d: null, e: undefined, f: {}, "g h": "é&", i: 5n, n: NaN }), querystring.stringify({ a: "b" }, ";", ":"), querystring.escape("a b&c=d/é'()*!~"), querystring.unescape("%41%zz"), querystring.stringify("x"));

// SPDX-License-Identifier: Apache-2.0
// The world outside, for the broker's tests: two plain HTTP servers and one with TLS and HTTP/2.
// Prints one line of JSON with its ports. argv: key file, certificate file.
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import { readFileSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";

let connections = 0;
let received = 0;

function answer(request, response) {
  const url = new URL(request.url, "http://x");
  const query = url.searchParams;
  switch (url.pathname) {
    case "/hello":
      response.setHeader("X-Mixed-Case", "Yes");
      response.setHeader("set-cookie", ["a=1", "b=2"]);
      return response.end("hello");
    case "/headers":
      response.setHeader("content-type", "application/json");
      return response.end(JSON.stringify({ method: request.method, url: request.url, version: request.httpVersion, headers: request.headers }));
    case "/echo":
      response.setHeader("x-method", request.method);
      response.setHeader("x-encoding", request.headers["transfer-encoding"] ?? "");
      return request.pipe(response);
    case "/swallow":
      request.on("data", (chunk) => (received += chunk.length));
      return request.on("end", () => response.end("swallowed"));
    case "/received":
      return response.end(String(received));
    case "/stall": // takes the connection and reads nothing
      return request.pause();
    case "/gzip":
    case "/br": {
      const body = Buffer.alloc(Number(query.get("bytes") ?? 5000), "packed ");
      response.setHeader("content-encoding", url.pathname.slice(1));
      const packed = url.pathname === "/gzip" ? gzipSync(body) : brotliCompressSync(body);
      const cut = query.has("cut") ? packed.subarray(0, packed.length / 2) : packed;
      response.setHeader("content-length", cut.length);
      return response.end(cut);
    }
    case "/false-gzip":
      response.setHeader("content-encoding", "gzip");
      return response.end("this is no gzip");
    case "/redirect":
      response.statusCode = Number(query.get("status") ?? 302);
      response.setHeader("location", query.get("to"));
      return response.end("moved");
    case "/loop":
      response.statusCode = 302;
      response.setHeader("location", `/loop?${Number(url.search.slice(1) || 0) + 1}`);
      return response.end();
    case "/big": {
      let left = Number(query.get("bytes"));
      const chunk = Buffer.alloc(65536, "b");
      const more = () => {
        while (left > 0) {
          const part = chunk.subarray(0, Math.min(left, chunk.length));
          left -= part.length;
          if (!response.write(part)) return response.once("drain", more);
        }
        response.end();
      };
      return more();
    }
    case "/silent":
      return undefined;
    case "/half":
      response.setHeader("content-length", 100);
      response.write("half");
      return setTimeout(() => response.destroy(), 20);
    case "/drop":
      return request.socket.destroy();
    case "/empty":
      response.statusCode = 204;
      return response.end();
    case "/length":
      response.setHeader("content-length", 12345);
      return response.end(request.method === "HEAD" ? undefined : Buffer.alloc(12345));
    case "/connections":
      return response.end(String(connections));
    case "/close": // as a server that gives up its idle connections
      response.shouldKeepAlive = false;
      return response.end("bye");
    default:
      response.statusCode = 404;
      return response.end("nothing here");
  }
}

const listen = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));
const plain = createServer(answer).on("connection", () => connections++);
const other = createServer(answer);
const secure = createSecureServer({ key: readFileSync(process.argv[2]), cert: readFileSync(process.argv[3]), allowHTTP1: true }, answer);
console.log(JSON.stringify({ plain: await listen(plain), other: await listen(other), secure: await listen(secure) }));

import buffer, { Buffer, constants, isAscii, isUtf8, transcode, SlowBuffer } from "node:buffer";
const b = Buffer.from("héllo wörld €😀");
log(b, b.length, b.toString(), b.toString("hex"), b.toString("base64"), b.toString("base64url"), b.toString("latin1"), b.toString("ascii"), b.toString("utf16le"), b.toString("utf8", 1, 5), b.toString(undefined, -3, 4), b.toString("hex", 2));
log(Buffer.from("68656c6c6f", "hex"), Buffer.alloc(8).write("6162zz", 1, "hex"));
for (const encoding of ["utf8", "base64", "base64url", "latin1", "binary", "ascii", "ucs2", "utf16le", "UTF-8", "Base64"]) {
  log(encoding, Buffer.from("68656c6c6f", encoding), Buffer.byteLength("68656c6c6f", encoding), Buffer.isEncoding(encoding), Buffer.alloc(8).write("YWJj", 1, encoding), Buffer.alloc(5, "YWJj", encoding));
}
log(Buffer.from("YW-_Jj\nZGVm==garbage", "base64"), Buffer.from("YQ", "base64"), Buffer.from("YWI", "base64url"), Buffer.from("abc", "hex"), Buffer.from("zz", "hex"), Buffer.from("YWJjZ", "base64"), Buffer.byteLength("YWJjZA==", "base64"));
log(Buffer.from([1, 2, 300]), Buffer.from(new Uint16Array([1, 256])), Buffer.from(new ArrayBuffer(3), 1), Buffer.from(b.subarray(0, 2)), Buffer.from({ type: "Buffer", data: [1, 2] }), Buffer.from(new String("x")));
log(Buffer.concat([Buffer.from("a"), Buffer.from("bc")]), Buffer.concat([Buffer.from("abc")], 2), Buffer.compare(Buffer.from("a"), Buffer.from("b")), Buffer.isBuffer(b), Buffer.isBuffer(new Uint8Array()));
log(b.equals(Buffer.from(b)), b.indexOf("wö"), b.indexOf(0x6f), b.lastIndexOf("l"), b.includes("€"), b.indexOf(Buffer.from("w")), b.indexOf("YQ", "base64url"), b.indexOf(""), b.indexOf("o", -5));
log(b.slice(-4), b.subarray(1, 3).parent === undefined, b.subarray(1, 3) instanceof Buffer, b.slice(1).byteOffset - b.byteOffset);
const w = Buffer.alloc(64);
w.writeUInt8(1, 0); w.writeInt16LE(-2, 1); w.writeUInt32BE(0xdeadbeef, 3); w.writeFloatLE(1.5, 7); w.writeDoubleBE(-2.25, 11); w.writeBigInt64LE(-5n, 19); w.writeBigUInt64BE(5n, 27); w.writeUIntBE(0x123456, 35, 3); w.writeIntLE(-7, 40, 6);
log(w, w.readUInt8(0), w.readInt16LE(1), w.readUint32BE(3), w.readFloatLE(7), w.readDoubleBE(11), w.readBigInt64LE(19), w.readBigUint64BE(27), w.readUIntBE(35, 3), w.readIntLE(40, 6));
try { w.writeUInt8(256, 0) } catch (error) { log(error.name, error.code) }
try { w.readUInt8(64) } catch (error) { log(error.name, error.code) }
try { Buffer.from(5) } catch (error) { log(error.name, error.code) }
try { Buffer.from("x", "nope") } catch (error) { log(error.name, error.code, error.message) }
try { Buffer.alloc(-1) } catch (error) { log(error.name, error.code) }
log(w.fill("ab", 0, 5).subarray(0, 6), Buffer.alloc(3, 7), Buffer.alloc(4, "é"), Buffer.alloc(2).fill(0x1ff), Buffer.allocUnsafe(2).length);
log(Buffer.from("abc").toJSON(), JSON.stringify(Buffer.from("x")), [...Buffer.from("ab").entries()], Buffer.from("abcd").swap16().toString(), Buffer.from("abcd").swap32().toString());
log(Buffer.from("é").write("€", 1), Buffer.alloc(4).write("€€"), Buffer.alloc(10).write("abc", 2, 2), Buffer.alloc(10).write("616", "hex"));
const copy = Buffer.alloc(5); log(Buffer.from("hello").copy(copy, 1, 1, 3), copy, Buffer.copyBytesFrom(new Uint16Array([1, 2]), 1));
log(isAscii(Buffer.from("a")), isAscii(b), isUtf8(b), isUtf8(Buffer.from([0xff])), transcode(Buffer.from("é"), "utf8", "latin1"), typeof constants.MAX_LENGTH, buffer.Buffer === Buffer, buffer.kMaxLength > 0);
log(Buffer.from([0xff, 0xfe, 0x41]).toString(), Buffer.from("\ud800x").toString("hex"), Buffer.from("\ufeffa").toString().length, Buffer.of(1, 2), new Uint8Array(b).length);
log(String(Buffer.from("s")), `${Buffer.from("t")}`, Buffer.from("a").toLocaleString(), Buffer.poolSize, b.buffer instanceof ArrayBuffer);
// Every number, at the ends of its range, at every place; what is out of range.
const names = Object.getOwnPropertyNames(Buffer.prototype).filter((name) => /^read(U?Int(8|16|32)|Float|Double|Big)/.test(name)).sort(), ends = [0, 1, -1, 127, -128, 255, 32767, -32768, 65535, 2147483647, -2147483648, 4294967295, 1.5, -0, NaN, Infinity, "7", 2 ** 40, null], bigs = [0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n - 1n, 2n ** 64n];
const bits = Buffer.from("00ff7f80c0015aa5fe81ffffffffffffff7f0000000000000080f83f", "hex");
for (const name of names) {
  const seen = [], into = Buffer.alloc(12), method = name.replace("read", "write");
  for (let at = -1; at <= bits.length; at++) try { seen.push(String(bits[name](at))) } catch (error) { seen.push(error.code) }
  for (const value of name.includes("Big") ? bigs : ends) try { seen.push(into.fill(1)[method](value, 3), into.toString("hex")) } catch (error) { seen.push(error.code ?? error.name) }
  log(name, seen.join(" "));
}
// Texts, short and long, ASCII and not, where they begin and end.
for (const size of [0, 1, 7, 23, 24, 25, 26, 255, 256, 257, 600]) {
  const plain = "a\0b~".repeat(size).slice(0, size);
  for (const text of [plain, `${plain.slice(1)}é`, `€${plain}`, `${plain}\ud800`, `${plain}\x7f\x80`]) {
    const bytes = Buffer.from(text), room = Buffer.alloc(bytes.length + 3, 46), tight = Buffer.alloc(size, 46);
    log(size, bytes.length === Buffer.byteLength(text), bytes.toString() === text.toWellFormed(), room.write(text, 2), room.toString("latin1").length, tight.write(text), tight.toString("hex").slice(-16), room.toString("ascii", 1, 30), room.toString("utf8", 2, size + 2).length);
  }
}
for (let round = 0; round < 3; round++) log(["id", "name", "di", "eman", "AaAa", "BBBB", "AaBB"].map((text) => Buffer.from(`<${text}>`).toString("utf8", 1, text.length + 1)).join());
const ten = Buffer.from("0123456789");
for (const start of [undefined, null, 0, 2, -3, 20, -20, "4", NaN, 1.9, -1.9]) log([undefined, null, 0, 5, -2, 20, -20, "7", 2.9].map((end) => `${ten.subarray(start, end)}|${ten.slice(start, end)}`).join(" "));
ten.subarray(2, 4).subarray(1).fill("x"); log(ten.toString(), ten.subarray(3).buffer === ten.buffer, ten.slice(1, 3) instanceof Buffer, Buffer.from(ten) !== ten, Buffer.from(ten.subarray(8)), Buffer.from(new Uint8Array([1, 2]).subarray(1)));
const encoder = new TextEncoder(), decoder = new TextDecoder(), target = new Uint8Array(8);
for (const text of ["", "abc", "abcdefgh", "abcdefghi", "é", "abcdefg€", "\0"]) log(text, encoder.encode(text), encoder.encodeInto(text, target.fill(46)), target, decoder.decode(target), decoder.decode(encoder.encode(text)) === text);

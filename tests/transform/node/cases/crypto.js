import crypto, { createHash, createHmac, randomBytes, randomUUID, timingSafeEqual, pbkdf2Sync, pbkdf2, hkdfSync, randomInt, randomFillSync, webcrypto, subtle } from "node:crypto";
for (const name of ["md5", "sha1", "sha256", "SHA384", "sha512", "RSA-SHA256"]) log(name, createHash(name).update("héllo").update(Buffer.from("x")).digest("hex"), createHmac(name, "key").update("data").update("more").digest("base64"));
log(createHash("sha256").digest(), createHash("sha1").update("ff00", "hex").digest("base64url"), createHmac("sha256", Buffer.from([1])).digest().length, createHash("md5").update(new Uint8Array([1, 2])).digest("latin1").length);
try { createHash("nope") } catch (error) { log(error instanceof Error) }
const h = createHash("sha1"); h.digest(); try { h.digest() } catch (error) { log(error.code) } try { h.update("x") } catch (error) { log(error.code) }
try { createHash("sha1").update(5) } catch (error) { log(error.code) }
log(randomBytes(10).length, Buffer.isBuffer(randomBytes(1)), /^[0-9a-f-]{36}$/.test(randomUUID()), randomBytes(100000).length, await new Promise((resolve) => randomBytes(4, (error, bytes) => resolve([error, bytes.length]))));
for (let i = 0; i < 50; i++) { const n = randomInt(3, 7); if (n < 3 || n >= 7) log("out of range") } log(randomInt(1), randomFillSync(new Uint8Array(4)).length);
log(timingSafeEqual(Buffer.from("a"), Buffer.from("a")), timingSafeEqual(Buffer.from("a"), Buffer.from("b"))); try { timingSafeEqual(Buffer.from("a"), Buffer.from("ab")) } catch (error) { log(error.code) }
log(pbkdf2Sync("pw", "salt", 100, 20, "sha256").toString("hex"), Buffer.from(hkdfSync("sha256", "key", "salt", "info", 16)).toString("hex"), await new Promise((resolve) => pbkdf2("pw", "salt", 1, 8, "sha512", (error, key) => resolve(key.toString("hex")))));
log(crypto.webcrypto === webcrypto, typeof subtle.digest, Buffer.from(await subtle.digest("SHA-256", Buffer.from("x"))).toString("hex"), crypto.getHashes().includes("sha256"));

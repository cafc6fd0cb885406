// SPDX-License-Identifier: Apache-2.0
// https://encoding.spec.whatwg.org/ and https://html.spec.whatwg.org/#atob

import { RangeError, TypeError, TypedArrayByteLength, TypedArrayName, TypedArraySet, Uint8Array } from "./primordials.js";
import { native } from "./native.js";
import { DOMException } from "./dom-exception.js";
import { bytesOf, defineInterface, requireArguments, toDOMString, toUSVString, viewByteLength } from "./webidl.js";
import { decodeShort, encodeShort, encodeUtf8, isShort } from "./short-text.js";
import { createTransform } from "./streams/transform.js";

export class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(input = "") {
    return encodeUtf8(toUSVString(input));
  }

  encodeInto(source, destination) {
    requireArguments(arguments.length, 2, "'encodeInto' on 'TextEncoder'");
    const text = toUSVString(source);
    if (isShort(text) && TypedArrayName.call(destination) === "Uint8Array" && text.length <= TypedArrayByteLength.call(destination)) {
      encodeShort(text, destination, 0);
      return { read: text.length, written: text.length };
    }
    let packed = native.utf8EncodeInto(text, destination);
    if (packed < 0) {
      // WebAssembly's memory, which C cannot write to.
      const bytes = new Uint8Array(viewByteLength(destination));
      packed = native.utf8EncodeInto(text, bytes);
      TypedArraySet.call(bytesOf(destination), bytes.subarray(0, packed % 4294967296));
    }
    return { read: Math.floor(packed / 4294967296), written: packed % 4294967296 };
  }
}
defineInterface(TextEncoder, "TextEncoder");

const labels = new Map();
const encodings = {
  "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
  ibm866: "866 cp866 csibm866 ibm866",
  "iso-8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
  "iso-8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
  "iso-8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
  "iso-8859-5": "csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988",
  "iso-8859-6": "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987",
  "iso-8859-7": "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek",
  "iso-8859-8": "csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 visual",
  "iso-8859-8-i": "csiso88598i iso-8859-8-i logical",
  "iso-8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
  "iso-8859-13": "iso-8859-13 iso8859-13 iso885913",
  "iso-8859-14": "iso-8859-14 iso8859-14 iso885914",
  "iso-8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
  "iso-8859-16": "iso-8859-16",
  "koi8-r": "cskoi8r koi koi8 koi8-r koi8_r",
  "koi8-u": "koi8-ru koi8-u",
  macintosh: "csmacintosh mac macintosh x-mac-roman",
  "windows-874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
  "windows-1250": "cp1250 windows-1250 x-cp1250",
  "windows-1251": "cp1251 windows-1251 x-cp1251",
  "windows-1252": "ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252",
  "windows-1253": "cp1253 windows-1253 x-cp1253",
  "windows-1254": "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254",
  "windows-1255": "cp1255 windows-1255 x-cp1255",
  "windows-1256": "cp1256 windows-1256 x-cp1256",
  "windows-1257": "cp1257 windows-1257 x-cp1257",
  "windows-1258": "cp1258 windows-1258 x-cp1258",
  "x-mac-cyrillic": "x-mac-cyrillic x-mac-ukrainian",
  gbk: "chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
  gb18030: "gb18030",
  big5: "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
  "euc-jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
  "iso-2022-jp": "csiso2022jp iso-2022-jp",
  shift_jis: "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
  "euc-kr": "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949",
  "utf-16be": "unicodefffe utf-16be",
  "utf-16le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
  "x-user-defined": "x-user-defined",
};
for (const name of Object.keys(encodings)) for (const label of encodings[name].split(" ")) labels.set(label, name);

const nothing = new Uint8Array(0);

export class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #decoder = undefined; // while a stream is decoded, and for all but UTF-8

  constructor(label = "utf-8", options = undefined) {
    const name = labels.get(toDOMString(label).replace(/^[\t\n\f\r ]+|[\t\n\f\r ]+$/g, "").toLowerCase());
    if (name === undefined) throw new RangeError(`"${label}" is not a valid encoding.`);
    this.#encoding = name;
    this.#fatal = !!options?.fatal;
    this.#ignoreBOM = !!options?.ignoreBOM;
  }

  get encoding() {
    return this.#encoding;
  }

  get fatal() {
    return this.#fatal;
  }

  get ignoreBOM() {
    return this.#ignoreBOM;
  }

  decode(input = undefined, options = undefined) {
    const bytes = input === undefined ? nothing : bytesOf(input, "The argument of TextDecoder.decode");
    const stream = !!options?.stream;
    if (this.#decoder === undefined) {
      if (!stream && this.#encoding === "utf-8")
        return decodeShort(bytes, 0, TypedArrayByteLength.call(bytes)) ?? native.utf8Decode(bytes, this.#fatal, this.#ignoreBOM);
      this.#decoder = native.decoderNew(this.#encoding, this.#fatal, this.#ignoreBOM);
      if (this.#decoder === null) throw new RangeError(`The encoding "${this.#encoding}" is not available.`);
    }
    const text = native.decoderPush(this.#decoder, bytes, !stream);
    if (!stream) this.#decoder = undefined;
    return text;
  }
}
defineInterface(TextDecoder, "TextDecoder");

export class TextEncoderStream {
  #transform;

  constructor() {
    let high = "";
    this.#transform = createTransform({
      transform(chunk, controller) {
        let text = high + toDOMString(chunk);
        high = "";
        const last = text.charCodeAt(text.length - 1);
        if (last >= 0xd800 && last <= 0xdbff) {
          high = text.slice(-1);
          text = text.slice(0, -1);
        }
        if (text !== "") controller.enqueue(native.utf8Encode(text.toWellFormed()));
      },
      flush(controller) {
        if (high !== "") controller.enqueue(new Uint8Array([0xef, 0xbf, 0xbd]));
      },
    });
  }

  get encoding() {
    return "utf-8";
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}
defineInterface(TextEncoderStream, "TextEncoderStream");

export class TextDecoderStream {
  #decoder;
  #transform;

  constructor(label = "utf-8", options = undefined) {
    const decoder = (this.#decoder = new TextDecoder(label, options));
    this.#transform = createTransform({
      transform(chunk, controller) {
        const text = decoder.decode(bytesOf(chunk, "The chunk"), { stream: true });
        if (text !== "") controller.enqueue(text);
      },
      flush(controller) {
        const text = decoder.decode();
        if (text !== "") controller.enqueue(text);
      },
    });
  }

  get encoding() {
    return this.#decoder.encoding;
  }

  get fatal() {
    return this.#decoder.fatal;
  }

  get ignoreBOM() {
    return this.#decoder.ignoreBOM;
  }

  get readable() {
    return this.#transform.readable;
  }

  get writable() {
    return this.#transform.writable;
  }
}
defineInterface(TextDecoderStream, "TextDecoderStream");

export function btoa(data) {
  requireArguments(arguments.length, 1, "'btoa'");
  const text = native.base64Encode(toDOMString(data));
  if (text === null)
    throw new DOMException("btoa() can only operate on characters in the Latin1 (ISO/IEC 8859-1) range.", "InvalidCharacterError");
  return text;
}

export function atob(data) {
  requireArguments(arguments.length, 1, "'atob'");
  const text = native.base64Decode(toDOMString(data));
  if (text === null) throw new DOMException("atob() called with invalid base64-encoded data. (Only whitespace, '+', '/', alphanumeric ASCII, and up to two terminal '=' signs when the input data length is divisible by 4 are allowed.)", "InvalidCharacterError");
  return text;
}

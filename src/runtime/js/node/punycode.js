// SPDX-License-Identifier: Apache-2.0
// node:punycode.

import npm from "punycode/";

export const { decode, encode, toASCII, toUnicode, ucs2, version } = npm;
export default npm;

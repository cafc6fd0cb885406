// SPDX-License-Identifier: Apache-2.0
// node:string_decoder: npm's, which readable-stream uses too.

import npm from "string_decoder/";

export const { StringDecoder } = npm;
export default { StringDecoder };

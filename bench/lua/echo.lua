-- SPDX-License-Identifier: Apache-2.0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"name":"a value","list":[1,2,3,4,5,6,7,8],"nested":{"deep":{"true":true}}}'

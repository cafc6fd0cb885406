/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration texts; the first byte chooses: TOML, JSON with comments, a cron expression. What
 * can be read is checked against the tables as a weir.toml and a wrangler configuration are. */
#include <stdint.h>
#include <stdlib.h>

#include "config.h"
#include "cron.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

/* In the order of the lines, and each ends with one. */
static void check_report(struct config_report *report)
{
    AUTO_BUFFER lines = {0};
    config_report_sort(report);
    for (size_t i = 1; i < report->count; i++)
        require(report->messages[i - 1].line <= report->messages[i].line);
    config_report_append(report, true, &lines);
    config_report_append(report, false, &lines);
    require(buffer_len(&lines) == 0 ||
            (lines.data[lines.start] == 'f' && lines.data[lines.end - 1] == '\n'));
    json_decref(config_report_json(report));
}

static void check_tables(const struct value *root)
{
    const struct config_table *const tables[] = {&config_root,  &config_http,   &config_limits,
                                                 &config_scale, &config_worker, &config_assets,
                                                 &config_wrangler};
    struct config_report report = {.file = "f"};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        json_t *plan = json_object();
        config_check(root, tables[i], NULL, &report);
        config_fill(root, tables[i], plan);
        config_override(root, tables[i], plan);
        json_decref(plan);
    }
    check_report(&report);
    config_report_done(&report);
}

static void try_file(struct slice text, bool toml)
{
    struct value root = {0};
    struct error err = {""};
    int r = toml ? toml_parse(text, &root, &err) : jsonc_parse(text, &root, &err);
    require(r == 0 ? root.type == VALUE_TABLE : err.text[0] >= '1' && err.text[0] <= '9');
    if (r < 0)
        return;
    AUTO_BUFFER json = {0};
    value_append_json(&root, &json);
    require(buffer_len(&json) >= 2);
    struct value again = {0};
    /* What we write we read, to the same text. Infinity and NaN have no JSON: they become null. */
    require(jsonc_parse(buffer_slice(&json), &again, &err) == 0);
    AUTO_BUFFER json_again = {0};
    value_append_json(&again, &json_again);
    require(slice_equal(buffer_slice(&json), buffer_slice(&json_again)));
    value_done(&again);
    check_tables(&root);
    value_done(&root);
}

static void try_cron(struct slice text)
{
    struct cron cron;
    struct error err = {""};
    AUTO_TEXT expression = xstrndup(text.ptr, text.len);
    if (cron_parse(expression, &cron, &err) < 0) {
        require(err.text[0] != 0);
        return;
    }
    for (int64_t day = 0; day < 400; day++)
        (void)cron_matches(&cron, 1700000000 + day * 86400);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice text = {(const char *)data + 1, size - 1};
    if (data[0] % 3 == 2)
        try_cron(text);
    else
        try_file(text, data[0] % 3 == 0);
    return 0;
}

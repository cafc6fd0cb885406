/* SPDX-License-Identifier: Apache-2.0 */
/* The pool's modules that know no socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "hash.h"
#include "params.h"
#include "scram.h"
#include "statements.h"
#include "traits.h"

static const struct {
    const char *text;
    unsigned traits;
} texts[] = {
    {"select 1", TRAIT_READ},
    {"select 1;", TRAIT_READ},
    {"select 1; select 2", 0},
    {"select * from t for update", 0},
    {"insert into t values (1)", 0},
    {"set x = 1", TRAIT_SET},
    {"SET SESSION x TO 1", TRAIT_SET},
    {"set local x = 1", 0},
    {"set transaction read only", 0},
    {"set session characteristics as transaction read only", TRAIT_SET},
    {"/* a /* nested */ comment */ -- and another\n set x = 1", TRAIT_SET},
    {"set timezone = 'UTC'", 0},
    {"set time zone 'UTC'", 0},
    {"SET \"search_path\" TO a", TRAIT_SET},
    {"set role r", TRAIT_SET},
    {"reset x", TRAIT_SET | TRAIT_RESET},
    {"with w as (select 1) select * from w", TRAIT_READ},
    {"select * from Pg_Prepared_Statements", TRAIT_READ | TRAIT_PREPARED},
    {"select pg_terminate_backend($1)", TRAIT_READ | TRAIT_SIGNAL},
    {"select 'set x = 1'", TRAIT_READ},
    {"select $$; set x = 1$$", TRAIT_READ},
    {"select $tag$; set x = 1$tag$; set x = 1", TRAIT_SET},
    {"select e'\\'; set x = 1 --'", TRAIT_READ},
    {"select set_config('a', 'b', false)", TRAIT_SET | TRAIT_READ},
    {"select set_config('a', f(1, 2), true)", TRAIT_READ},
    {"select set_config('a', $1, $2)", TRAIT_SET | TRAIT_READ},
    {"begin; prepare p as select 1", TRAIT_PREPARE},
    {"prepare transaction 'x'", 0},
    {"deallocate p", TRAIT_DEALLOCATE},
    {"deallocate prepare p", TRAIT_DEALLOCATE},
    {"deallocate prepare all", TRAIT_DISCARD},
    {"deallocate all", TRAIT_DISCARD},
    {"discard all", TRAIT_DISCARD},
    {"listen c", TRAIT_LISTEN},
    {"notify c", 0},
    {"declare c cursor with hold for select 1", TRAIT_CURSOR},
    {"declare c cursor for select 1", 0},
    {"create temp table x ()", TRAIT_TEMPORARY},
    {"create or replace temporary view v as select 1", TRAIT_TEMPORARY},
    {"create temp table x () on commit drop", 0},
    {"create table temp ()", 0},
    {"create table pg_temp_3.x ()", TRAIT_TEMPORARY},
    {"insert into \"pg_temp_12\".x values (1)", TRAIT_TEMPORARY},
    {"create table pg_tempting ()", 0},
    {"select 1 into temp x", TRAIT_TEMPORARY},
    {"select pg_advisory_lock(1)", TRAIT_LOCK | TRAIT_READ},
    {"select pg_advisory_xact_lock(1)", TRAIT_READ},
    {"select currval('s')", TRAIT_SEQUENCE | TRAIT_READ},
    {"insert into t values (LASTVAL ())", TRAIT_SEQUENCE},
    {"select nextval('s'), currval('s')", TRAIT_READ},
    {"insert into t values (1); select lastval()", 0},
    {"select lastval from currval", TRAIT_READ},
    {"set timezone to default", TRAIT_RESET},
    {"update pg_catalog.\"pg_settings\" set setting = '1'", TRAIT_SET},
    {"select U&\"pg\\005fadvisory_lock\"(1)", TRAIT_SET | TRAIT_READ},
    {"load 'x'", TRAIT_LOAD},
    {"DO $$ begin perform 1; end $$", TRAIT_UNSEEN},
    {"", 0},
    {"'unfinished", 0},
    {"$x$unfinished", 0},
    {"/* unfinished", 0},
};

static void finds_what_outlives_a_transaction(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (traits_of(slice_of(texts[i].text), 0) != texts[i].traits)
            fail_msg("\"%s\": %x instead of %x", texts[i].text,
                     traits_of(slice_of(texts[i].text), 0), texts[i].traits);
}

static void knows_what_it_can_not_see(void **state)
{
    static const char wide[] = "select E'\x95\\', set_config('a', 'b', false) --'";
    (void)state;
    assert_int_equal(traits_of(slice_of(wide), 0), TRAIT_READ);
    assert_int_equal(traits_of(slice_of(wide), READING_WIDE), TRAIT_UNSEEN);
    assert_int_equal(traits_of(SLICE("select 'a'"), READING_WIDE), TRAIT_READ);
    assert_int_equal(traits_of(SLICE("select '\\'"), READING_WIDE), TRAIT_READ);
    assert_int_equal(traits_of(SLICE("select '\\'"), READING_ESCAPES), TRAIT_UNSEEN);
    assert_int_equal(traits_of(SLICE("set a = 'b'"), READING_ESCAPES), TRAIT_SET);
}

static void hashes_by_key_and_bytes(void **state)
{
    uint64_t one = hash_bytes(1, SLICE("a")), two = hash_bytes(2, SLICE("a"));
    (void)state;
    assert_true(one != two);
    assert_true(hash_bytes(1, SLICE("")) != hash_bytes(2, SLICE("")));
    assert_true(hash_bytes(one, SLICE("b")) != hash_bytes(two, SLICE("b")));
    assert_true(hash_bytes(1, SLICE("12345678a")) != hash_bytes(1, SLICE("12345678b")));
    assert_true(hash_bytes(1, SLICE("12345678a")) != hash_bytes(2, SLICE("12345678a")));
}

static void reads_what_is_set(void **state)
{
    static const struct {
        const char *text, *name, *value; /* name NULL: it is not certain; value NULL: reset */
    } cases[] = {
        {"reset DateStyle;", "datestyle", NULL},
        {"/* x */ RESET TIME ZONE", "timezone", NULL},
        {"reset all", "all", NULL},
        {"reset app.Tenant", "app.tenant", NULL},
        {"reset a; reset b", NULL, NULL},
        {"reset", NULL, NULL},
        {"set session DateStyle = default", "datestyle", NULL},
        {"set time zone local", "timezone", NULL},
        {"set local a to default", NULL, NULL},
        {"SET client_min_messages TO warning", "client_min_messages", "warning"},
        {"set session \"Work_Mem\" = '64MB' ;", "Work_Mem", "64MB"},
        {"set app . tenant = 42", "app.tenant", "42"},
        {"set session.user_id = '42'", "session.user_id", "42"},
        {"set a = -1.50", "a", "-1.50"},
        {"set a = 0", "a", "0"},
        {"set a = 'it''s'", "a", "it's"},
        {"set a = ''", "a", ""},
        {"set a = ON", "a", "on"},
        {"set a = \"Mixed\"", "a", "Mixed"},
        {"set search_path to '$user'", "search_path", "\"$user\""},
        {"set search_path = 'a, b'", "search_path", "\"a, b\""},
        {"set search_path = ''", "search_path", "\"\""},
        {"set search_path = public", "search_path", "public"},
        {"set search_path = \"a\"\"b\"", "search_path", "\"a\"\"b\""},
        {"set search_path to a, \"B c\" ,'$user',public;", "search_path",
         "a, \"B c\", \"$user\", public"},
        {"set temp_tablespaces = a, ''", "temp_tablespaces", "a, \"\""},
        {"set search_path to a,", NULL, NULL},
        {"set search_path to a, default", "search_path", "a, default"},
        {"set search_path to a, E'b'", NULL, NULL},
        {"set a = 1, 2", NULL, NULL},
        {"set a = 1; select 1", NULL, NULL},
        {"set a = 010", NULL, NULL},
        {"set a = -0", NULL, NULL},
        {"set a = 1e3", NULL, NULL},
        {"set a = 64kB", NULL, NULL},
        {"set a = 1.", NULL, NULL},
        {"set a = + 1", NULL, NULL},
        {"set a = 'x'\n'y'", NULL, NULL},
        {"set a = 'x", NULL, NULL},
        {"set a = E'x'", NULL, NULL},
        {"set a = U&'x'", NULL, NULL},
        {"set a = $$x$$", NULL, NULL},
        {"set a = 'x\\'", NULL, NULL},
        {"set a = '\xc3\xa9'", NULL, NULL},
        {"set a =", NULL, NULL},
        {"set a from current", NULL, NULL},
        {"set local a = 1", NULL, NULL},
        {"set time zone 'UTC'", NULL, NULL},
        {"set time zone interval '1' hour to minute", NULL, NULL},
        {"set role x", NULL, NULL},
        {"set session authorization x", NULL, NULL},
        {"set session characteristics as transaction read only", NULL, NULL},
        {"set transaction read only", NULL, NULL},
        {"select 1", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char name[PARAMETER_BYTES] = "";
        AUTO_BUFFER value = {0};
        char kind = traits_parameter(slice_of(cases[i].text), name, &value);
        char expected = !cases[i].name ? 0 : cases[i].value ? 'S' : 'R';
        if (kind != expected || (kind && strcmp(name, cases[i].name) != 0) ||
            (kind == 'S' && !slice_equal(buffer_slice(&value), slice_of(cases[i].value))))
            fail_msg("%s: %c %s %.*s", cases[i].text, kind ? kind : '0', name,
                     (int)buffer_len(&value), buffer_slice(&value).ptr);
    }
}

static void outlines_a_text_without_its_data(void **state)
{
    static const struct {
        const char *text, *outline;
    } cases[] = {
        {"select 1", "select ?"},
        {"select  *\n from t -- all\n where a = 'it''s' and b=1.5e3",
         "select * from t where a = ? and b=?"},
        {"select $1, $22::int, x1, \"1 two\"", "select $1, $22::int, x1, \"1 two\""},
        {"select e'\\'secret', $$secret$$, $a$ $$secret $a$", "select ?, ?, ?"},
        {"select U&'secret', B'101', x'ff', N'secret'", "select U&?, B?, x?, N?"},
        {"select .5, 0xff, 1_000", "select ?, ?, ?"},
        {"select 'abc\\'secret', 'x'", "select ? …"},
        {"/* secret /* in */ here */select 'unended secret", "select ?"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *line = traits_outline(slice_of(cases[i].text), 100);
        assert_string_equal(line, cases[i].outline);
        free(line);
    }
    char *cut = traits_outline(slice_of("select a, b, c, d, e"), 10);
    assert_string_equal(cut, "select a, ");
    free(cut);
}

static void reads_names_as_postgres_does(void **state)
{
    char name[64];
    (void)state;
    assert_true(traits_deallocated(SLICE("DEALLOCATE Mixed"), name));
    assert_string_equal(name, "mixed");
    assert_true(traits_deallocated(SLICE("deallocate prepare \"Mixed \"\"Q\"\"\" ;"), name));
    assert_string_equal(name, "Mixed \"Q\"");
    assert_false(traits_deallocated(SLICE("deallocate a; select 1"), name));
    assert_int_equal(traits_listen(SLICE("LISTEN Channel"), name), 'L');
    assert_string_equal(name, "channel");
    assert_int_equal(traits_listen(SLICE("unlisten *"), name), '*');
    assert_int_equal(traits_listen(SLICE("listen a; select 1"), name), 0);
    struct slice place;
    assert_true(traits_executed(SLICE("/* a */ EXECUTE \"Odd \"\"one\"(1, ';');"), name, &place));
    assert_string_equal(name, "Odd \"one");
    assert_true(slice_equal(place, SLICE("\"Odd \"\"one\"")));
    assert_true(traits_executed(SLICE("execute P"), name, &place));
    assert_string_equal(name, "p");
    assert_false(traits_executed(SLICE("execute a; execute b"), name, &place));
    assert_false(traits_executed(SLICE("execute"), name, &place));
    struct slice several = SLICE("execute One; select execute; /* ; */ EXECUTE \"Two\"(';');");
    assert_true(traits_executed_next(&several, name));
    assert_string_equal(name, "one");
    assert_true(traits_executed_next(&several, name));
    assert_string_equal(name, "Two");
    assert_false(traits_executed_next(&several, name));
    assert_true(
        traits_channels(SLICE("select /* */ * from pg_catalog.pg_listening_channels ( ) ;")));
    assert_true(traits_channels(SLICE("Select PG_Listening_Channels()")));
    assert_false(traits_channels(SLICE("select pg_listening_channels() limit 1")));
    assert_false(traits_channels(SLICE("select pg_listening_channels(); select 1")));
    assert_false(traits_channels(SLICE("select * from public.pg_listening_channels()")));
}

/* RFC 7677, section 3: user "user", password "pencil". */
static void proves_as_the_standard_shows(void **state)
{
    static const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                   0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    struct scram scram = {0};
    AUTO_BUFFER final = {0};
    (void)state;
    buffer_append_text(&scram.gs2, "n,,");
    buffer_append_text(&scram.auth, "n=user,r=rOprNGfwEbeRWgbNEkqO");
    strcpy(scram.nonce, "rOprNGfwEbeRWgbNEkqO");
    assert_true(scram_client_final(&scram, "pencil",
                                   SLICE("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s="
                                         "W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
                                   &final));
    assert_memory_equal(scram.keys.salt, salt, sizeof(salt));
    buffer_append(&final, "", 1);
    assert_string_equal(final.data + final.start,
                        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
                        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    assert_true(
        scram_client_verify(&scram, SLICE("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    assert_false(
        scram_client_verify(&scram, SLICE("v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")));
    scram_done(&scram);
}

/* The salt and the iterations that the server names, unless the keys at hand are for them. */
static void says_which_keys_it_wants(void **state)
{
    static const char first[] = "r=rOprNGfwEbeRWgbNEkqO%hvY,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=";
    struct scram scram = {0};
    struct scram_keys wanted;
    AUTO_TEXT long_one = xasprintf("%s%d", first, SCRAM_ITERATIONS_MAX);
    AUTO_TEXT too_long = xasprintf("%s%d", first, SCRAM_ITERATIONS_MAX + 1);
    (void)state;
    strcpy(scram.nonce, "rOprNGfwEbeRWgbNEkqO");
    assert_true(scram_client_wants(&scram, slice_of(long_one), &wanted));
    assert_int_equal(wanted.iterations, SCRAM_ITERATIONS_MAX);
    assert_int_equal(wanted.salt_len, 16);
    assert_false(scram_client_wants(&scram, slice_of(too_long), &wanted));
    assert_false(scram_client_wants(&scram, slice_of(first), &wanted));
    AUTO_TEXT short_one = xasprintf("%s%d", first, 1);
    assert_true(scram_client_wants(&scram, slice_of(short_one), &wanted));
    scram_derive("x", wanted.salt, wanted.salt_len, wanted.iterations, &scram.keys);
    assert_false(scram_client_wants(&scram, slice_of(short_one), &wanted));
    scram_done(&scram);
}

/* The same as long as the secret is. */
static void makes_salts_of_names(void **state)
{
    uint8_t one[SCRAM_SALT_BYTES_MAX], other[SCRAM_SALT_BYTES_MAX];
    struct scram_keys like = {.iterations = 7, .salt_len = SCRAM_SALT_BYTES_MAX}, keys;
    (void)state;
    scram_salts_from(SLICE("a secret"));
    scram_salt_of("somebody", one);
    scram_salt_of("nobody", other);
    assert_memory_not_equal(one, other, SCRAM_SALT_BYTES);
    scram_salts_from(SLICE("another"));
    scram_salt_of("somebody", other);
    assert_memory_not_equal(one, other, SCRAM_SALT_BYTES);
    scram_salts_from(SLICE("a secret"));
    scram_mock("somebody", &like, &keys);
    assert_int_equal(keys.iterations, 7);
    assert_int_equal(keys.salt_len, SCRAM_SALT_BYTES_MAX);
    assert_memory_equal(keys.salt, one, SCRAM_SALT_BYTES_MAX);
    scram_mock("somebody", NULL, &keys);
    assert_int_equal(keys.iterations, SCRAM_ITERATIONS);
    assert_int_equal(keys.salt_len, SCRAM_SALT_BYTES);
}

static void exchange(const char *password, bool plus, const char *binding, bool *ret_in,
                     bool *ret_proven)
{
    struct scram client = {.plus = plus, .could_plus = plus, .binding = SLICE("certificate")};
    struct scram server = {
        .plus = plus, .could_plus = plus, .known = true, .binding = slice_of(binding)};
    static const uint8_t salt[] = "sixteen bytes ..";
    AUTO_BUFFER one = {0}, two = {0}, three = {0}, four = {0};
    scram_derive("s\xc3\xa9same", salt, 16, 100, &server.keys);
    server.keys.has_client_key = false;
    scram_client_first(&client, &one);
    assert_true(scram_server_first(&server, buffer_slice(&one), &two));
    assert_true(scram_client_final(&client, password, buffer_slice(&two), &three));
    *ret_in = scram_server_final(&server, buffer_slice(&three), &four);
    *ret_proven = *ret_in && scram_client_verify(&client, buffer_slice(&four));
    if (*ret_in) /* pass-through: the proof gave the key away */
        assert_memory_equal(server.keys.client_key, client.keys.client_key, SCRAM_KEY_BYTES);
    scram_done(&client);
    scram_done(&server);
}

static void logs_in_and_refuses(void **state)
{
    bool in, proven;
    (void)state;
    exchange("s\xc3\xa9same", false, "", &in, &proven);
    assert_true(in && proven);
    exchange("se\xcc\x81same", false, "", &in, &proven); /* the same after SASLprep */
    assert_true(in && proven);
    exchange("s\xc3\xa9same", true, "certificate", &in, &proven);
    assert_true(in && proven);
    exchange("s\xc3\xa9same", true, "another one", &in, &proven);
    assert_false(in);
    exchange("wrong", false, "", &in, &proven);
    assert_false(in);
}

static void keeps_sets_of_parameters_once(void **state)
{
    (void)state;
    struct params *a = params_with(params_with(params_empty(), SLICE("TimeZone"), SLICE("UTC")),
                                   SLICE("a"), SLICE("1"));
    struct params *b = params_with(params_with(params_empty(), SLICE("A"), SLICE("1")),
                                   SLICE("TimeZone"), SLICE("x"));
    AUTO_BUFFER sql = {0};
    assert_ptr_not_equal(a, b);
    params_append_sql(b, a, NULL, &sql);
    buffer_append(&sql, "", 1);
    assert_string_equal(sql.data, "SELECT pg_catalog.set_config('TimeZone','UTC',false)");
    a = params_with(a, SLICE("x.y"), SLICE("it's \\ here"));
    buffer_reset(&sql, 0);
    params_append_sql(b, a, NULL, &sql);
    buffer_append(&sql, "", 1);
    assert_string_equal(sql.data, "SELECT pg_catalog.set_config('TimeZone','UTC',false),"
                                  "pg_catalog.set_config('x.y',E'it''s \\\\ here',false)");
    buffer_reset(&sql, 0);
    params_append_sql(a, b, NULL, &sql);
    buffer_append(&sql, "", 1);
    assert_string_equal(sql.data,
                        "RESET \"x\".\"y\";SELECT pg_catalog.set_config('TimeZone','x',false)");
    assert_int_equal(params_beyond(a, b), 1);
    struct params *but = params_with(params_hold(a), SLICE("timezone"), SLICE("y"));
    assert_true(params_same_but(a, but, b));
    assert_false(params_same_but(a, b, b));
    assert_false(params_same_but(b, a, b));
    assert_true(params_same_but(b, a, a));
    but = params_with(but, SLICE("lock_timeout"), SLICE("1s"));
    struct params *unlimited = params_without_others(params_hold(but), but);
    assert_ptr_equal(unlimited, but);
    unlimited = params_without_others(unlimited, a);
    assert_false(params_limit_time(unlimited));
    assert_true(params_limit_time(but));
    params_release(&unlimited);
    params_release(&but);
    a = params_without(params_without(a, "X.Y"), "none");
    assert_int_equal(params_beyond(a, b), 0);
    a = params_with(a, SLICE("timezone"), SLICE("x"));
    a = params_without(a, "a");
    b = params_without(b, "A");
    assert_ptr_equal(a, b);
    params_release(&a);
    params_release(&b);
}

static void counts_sets_of_parameters(void **state)
{
    enum { MANY = 5000 };
    static struct params *sets[MANY];
    char name[16];
    (void)state;
    uint64_t before = params_bytes_of_all();
    for (size_t round = 0; round < 2; round++) /* the second finds them all, in a larger table */
        for (size_t i = 0; i < MANY; i++) {
            (void)snprintf(name, sizeof(name), "x.p%zu", i);
            struct params *made = params_with(params_empty(), slice_of(name), SLICE("0123456789"));
            if (round > 0) {
                assert_ptr_equal(made, sets[i]);
                params_release(&sets[i]);
            }
            sets[i] = made;
        }
    assert_true(params_bytes_of_all() - before > MANY * (uint64_t)16);
    for (size_t i = 0; i < MANY; i++)
        params_release(&sets[i]);
    assert_int_equal(params_bytes_of_all(), before);
    struct params *set = params_empty();
    for (size_t i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "p%zu", i);
        set = params_with(set, slice_of(name), SLICE("1"));
    }
    assert_false(params_are_too_many(set));
    set = params_with(set, SLICE("one"), SLICE("more"));
    assert_true(params_are_too_many(set));
    params_release(&set);
}

static void tells_what_texts_mean(void **state)
{
    static const char *const matters[] = {"client_encoding", "TimeZone", "transform_null_equals",
                                          "app.x"};
    static const char *const does_not[] = {"application_name", "work_mem", "server_version"};
    (void)state;
    struct params *none = params_empty();
    for (size_t i = 0; i < ARRAY_LEN(matters) + ARRAY_LEN(does_not); i++) {
        bool mattering = i < ARRAY_LEN(matters);
        const char *name = mattering ? matters[i] : does_not[i - ARRAY_LEN(matters)];
        struct params *set = params_with(params_empty(), slice_of(name), SLICE("1"));
        if ((params_meaning(set) != params_meaning(none)) != mattering)
            fail_msg("%s", name);
        params_release(&set);
    }
    struct params *set = params_with(params_hold(none), SLICE("client_encoding"), SLICE("SJIS"));
    assert_int_equal(params_reading(set), READING_WIDE);
    set = params_with(set, SLICE("client_encoding"), SLICE("Shift-JIS"));
    assert_int_equal(params_reading(set), READING_WIDE);
    set = params_with(set, SLICE("client_encoding"), SLICE("windows-1252"));
    assert_int_equal(params_reading(set), 0);
    set = params_with(set, SLICE("client_encoding"), SLICE("EUC_JP"));
    set = params_with(set, SLICE("standard_conforming_strings"), SLICE("off"));
    assert_int_equal(params_reading(set), READING_ESCAPES);
    params_release(&set);
    params_release(&none);
}

static void shares_statements_and_finds_names(void **state)
{
    (void)state;
    struct statements *table = statements_new();
    struct names names = {0};
    char name[16];
    for (int i = 0; i < 500; i++) {
        int name_len = snprintf(name, sizeof(name), "n%d", i);
        char text[32] = {0};
        int text_len = snprintf(text, sizeof(text), "select %d", i % 50) + 3; /* NUL, no types */
        names_put(
            &names, (struct slice){name, (size_t)name_len},
            statements_intern(table, (struct slice){text, (size_t)text_len}, (struct meaning){0}));
    }
    assert_ptr_equal(names_get(&names, SLICE("n3")), names_get(&names, SLICE("n53")));
    for (int i = 0; i < 500; i += 2) {
        int len = snprintf(name, sizeof(name), "n%d", i);
        assert_true(names_remove(&names, (struct slice){name, (size_t)len}));
    }
    for (int i = 0; i < 500; i++) {
        int len = snprintf(name, sizeof(name), "n%d", i);
        assert_true((names_get(&names, (struct slice){name, (size_t)len}) != NULL) == (i % 2 == 1));
    }
    assert_int_equal(names.count, 250);
    assert_true(statements_bytes() > 250 * strlen("n1") + 50 * strlen("select 1"));
    names_done(&names);
    statements_forget_idle(table);
    assert_int_equal(statements_bytes(), 0);
    statements_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_outlives_a_transaction),
        cmocka_unit_test(knows_what_it_can_not_see),
        cmocka_unit_test(hashes_by_key_and_bytes),
        cmocka_unit_test(reads_what_is_set),
        cmocka_unit_test(outlines_a_text_without_its_data),
        cmocka_unit_test(reads_names_as_postgres_does),
        cmocka_unit_test(proves_as_the_standard_shows),
        cmocka_unit_test(logs_in_and_refuses),
        cmocka_unit_test(says_which_keys_it_wants),
        cmocka_unit_test(makes_salts_of_names),
        cmocka_unit_test(keeps_sets_of_parameters_once),
        cmocka_unit_test(counts_sets_of_parameters),
        cmocka_unit_test(tells_what_texts_mean),
        cmocka_unit_test(shares_statements_and_finds_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

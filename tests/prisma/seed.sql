-- What every operation begins with.
TRUNCATE "users", "Profile", "Post", "Tag", "_PostToTag", "Comment", "Everything", "Made", "Native", "Inherited", "depot"."prototype", "depot"."Stock" RESTART IDENTITY CASCADE;
INSERT INTO "users" (email, name, role, age, score, created_at, "managerId") VALUES
  ('ada@example.com', 'Ada', 'admin', 36, 9.5, '2024-01-01 10:00:00', NULL),
  ('bob@example.com', 'Bob', 'AUTHOR', 25, 3.25, '2024-02-01 11:30:00.123', 1),
  ('cid@example.com', NULL, 'AUTHOR', NULL, 0, '2024-03-01 00:00:00', 1),
  ('dot@example.com', 'Dot', 'READER', 61, -1.5, '2024-04-01 23:59:59.999', 2);
INSERT INTO "Profile" (id, bio, "userId") VALUES ('profile-1', 'Counts', 1), ('profile-2', 'Builds', 2);
INSERT INTO "Post" (title, content, published, views, "authorId") VALUES
  ('Hello', 'The first', true, 100, 1), ('World', NULL, false, 7, 1), ('Rivers', 'They flow', true, 42, 2),
  ('Weirs', 'They hold', true, 42, 2), ('Orphan', 'Nobody''s', false, 0, NULL);
INSERT INTO "Tag" (name) VALUES ('news'), ('water'), ('unused');
INSERT INTO "_PostToTag" ("A", "B") VALUES (1, 1), (3, 2), (4, 2), (4, 1);
INSERT INTO "Comment" ("postId", number, text, "userId") VALUES (1, 1, 'Nice', 2), (1, 2, 'Thanks', 1), (3, 1, 'Wet', NULL);
INSERT INTO "Everything" (id, string, int, bigint, float, decimal, bool, bytes, json, date, time, timestamp, zoned, uuid, role,
    strings, ints, bigints, floats, decimals, bools, "bytesList", jsons, dates, roles) VALUES
  (1, 'text ü 世界 ''"\', 2147483647, 9223372036854775807, 1.5e-7, 12345678901234567890.0123456789, true, '\x00ff10',
    '{"a": [1, 2.5, null, {"b": "ü"}], "n": 1e2}', '2024-02-29', '13:14:15.123456', '2024-02-29 13:14:15.123456',
    '2024-02-29 13:14:15.123456+02', '123e4567-e89b-12d3-a456-426614174000', 'admin',
    '{"a","b, c","\"q\""}', '{1,-2,3}', '{9007199254740993,-1}', '{0.5,1e300}', '{1.10000,-2.5}', '{t,f}', '{"\\x01","\\xff00"}',
    ARRAY['1', '"x"', '{"k":[]}']::jsonb[], '{"2024-01-01 00:00:00"}', '{READER,admin}'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}'),
  (3, '', 0, 0, 0, 0, false, '', 'null', '1970-01-01', '00:00:00', '1970-01-01', '1970-01-01 00:00+00',
    '00000000-0000-0000-0000-000000000000', 'READER', '{""}', '{0}', '{0}', '{0}', '{0}', '{f}', '{""}', ARRAY['null']::jsonb[],
    '{"1970-01-01"}', '{AUTHOR}');
UPDATE "Everything" SET "ownerId" = 1 WHERE id <> 3;
INSERT INTO "depot"."Stock" (shop, item, amount) VALUES ('north', 'nails', 10), ('north', 'rope', 3), ('south', 'nails', 4);
INSERT INTO "Inherited" VALUES (1, 'a', 'constructor', NULL), (2, 'b', 'toString', 1), (3, 'c', 'constructor', 1), (4, 'd', 'hasOwnProperty', 2);
INSERT INTO "depot"."prototype" VALUES (1, 1), (2, 1), (3, 4);

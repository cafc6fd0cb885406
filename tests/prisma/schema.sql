-- The tables of schema.prisma, as `prisma migrate diff` writes them.
-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "depot";

-- CreateSchema
CREATE SCHEMA IF NOT EXISTS "public";

-- CreateEnum
CREATE TYPE "Role" AS ENUM ('READER', 'AUTHOR', 'admin');

-- CreateTable
CREATE TABLE "users" (
    "id" SERIAL NOT NULL,
    "email" TEXT NOT NULL,
    "name" TEXT,
    "role" "Role" NOT NULL DEFAULT 'READER',
    "age" INTEGER,
    "score" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "managerId" INTEGER,

    CONSTRAINT "users_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Profile" (
    "id" TEXT NOT NULL,
    "bio" TEXT NOT NULL,
    "userId" INTEGER NOT NULL,

    CONSTRAINT "Profile_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Post" (
    "id" SERIAL NOT NULL,
    "title" TEXT NOT NULL,
    "content" TEXT,
    "published" BOOLEAN NOT NULL DEFAULT false,
    "views" INTEGER NOT NULL DEFAULT 0,
    "authorId" INTEGER,

    CONSTRAINT "Post_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Tag" (
    "id" SERIAL NOT NULL,
    "name" TEXT NOT NULL,

    CONSTRAINT "Tag_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Comment" (
    "postId" INTEGER NOT NULL,
    "number" INTEGER NOT NULL,
    "text" TEXT NOT NULL,
    "userId" INTEGER,

    CONSTRAINT "Comment_pkey" PRIMARY KEY ("postId","number")
);

-- CreateTable
CREATE TABLE "Everything" (
    "id" INTEGER NOT NULL,
    "string" TEXT,
    "int" INTEGER,
    "bigint" BIGINT,
    "float" DOUBLE PRECISION,
    "decimal" DECIMAL(30,10),
    "bool" BOOLEAN,
    "bytes" BYTEA,
    "json" JSONB,
    "date" DATE,
    "time" TIME(6),
    "timestamp" TIMESTAMP(6),
    "zoned" TIMESTAMPTZ(6),
    "uuid" UUID,
    "role" "Role",
    "strings" TEXT[],
    "ints" INTEGER[],
    "bigints" BIGINT[],
    "floats" DOUBLE PRECISION[],
    "decimals" DECIMAL(20,5)[],
    "bools" BOOLEAN[],
    "bytesList" BYTEA[],
    "jsons" JSONB[],
    "dates" TIMESTAMP(3)[],
    "roles" "Role"[],
    "ownerId" INTEGER,

    CONSTRAINT "Everything_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "depot"."Stock" (
    "shop" TEXT NOT NULL,
    "item" TEXT NOT NULL,
    "amount" INTEGER NOT NULL,

    CONSTRAINT "Stock_pkey" PRIMARY KEY ("shop","item")
);

-- CreateTable
CREATE TABLE "_PostToTag" (
    "A" INTEGER NOT NULL,
    "B" INTEGER NOT NULL,

    CONSTRAINT "_PostToTag_AB_pkey" PRIMARY KEY ("A","B")
);

-- CreateExtension
CREATE EXTENSION IF NOT EXISTS "citext" WITH SCHEMA "public";

-- CreateTable
CREATE TABLE "Made" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "nano" TEXT NOT NULL,
    "short" TEXT NOT NULL,
    "uuid" TEXT NOT NULL,
    "ulid" TEXT NOT NULL,
    "given" TEXT NOT NULL DEFAULT md5('x'),
    "number" BIGSERIAL NOT NULL,
    "list" INTEGER[] DEFAULT ARRAY[1, 2]::INTEGER[],
    "at" TIMESTAMP(3) NOT NULL DEFAULT '2020-01-01 00:00:00'::timestamp,
    "changed" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "Made_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "Native" (
    "id" INTEGER NOT NULL,
    "citext" CITEXT,
    "inet" INET,
    "bit" BIT(4),
    "varbit" VARBIT(8),
    "xml" XML,
    "char" CHAR(5),
    "varchar" VARCHAR(5),
    "small" SMALLINT,
    "oid" OID,
    "real" REAL,
    "time" TIME(3),
    "timetz" TIMETZ(3),
    "json" JSON,
    "inets" INET[],
    "bits" VARBIT(8)[],
    "uuids" UUID[],
    "point" point,

    CONSTRAINT "Native_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");

-- CreateIndex
CREATE UNIQUE INDEX "Profile_userId_key" ON "Profile"("userId");

-- CreateIndex
CREATE INDEX "Post_authorId_idx" ON "Post"("authorId");

-- CreateIndex
CREATE UNIQUE INDEX "Tag_name_key" ON "Tag"("name");

-- CreateIndex
CREATE UNIQUE INDEX "Stock_item_amount_key" ON "depot"."Stock"("item", "amount");

-- CreateIndex
CREATE INDEX "_PostToTag_B_index" ON "_PostToTag"("B");

-- What no schema of Prisma's has.
CREATE VIEW "Author" AS SELECT u."id", u."email", (SELECT count(*)::int FROM "Post" p WHERE p."authorId" = u."id") AS "posts" FROM "users" u WHERE u."role" = 'AUTHOR';
ALTER TABLE "depot"."Stock" ADD CONSTRAINT "positive" CHECK ("amount" >= 0);
CREATE FUNCTION "depot"."refuse"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW."shop" = 'refused' THEN RAISE EXCEPTION 'it says "no"' USING DETAIL = 'two' || chr(10) || 'lines', HINT = 'ask another shop'; END IF;
  IF NEW."shop" = 'null' THEN RAISE not_null_violation USING COLUMN = 'amount', TABLE = 'Stock'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER "refuse" BEFORE INSERT ON "depot"."Stock" FOR EACH ROW EXECUTE FUNCTION "depot"."refuse"();

-- AddForeignKey
ALTER TABLE "users" ADD CONSTRAINT "users_managerId_fkey" FOREIGN KEY ("managerId") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Profile" ADD CONSTRAINT "Profile_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Post" ADD CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Comment" ADD CONSTRAINT "Comment_postId_fkey" FOREIGN KEY ("postId") REFERENCES "Post"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Comment" ADD CONSTRAINT "Comment_userId_fkey" FOREIGN KEY ("userId") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "Everything" ADD CONSTRAINT "Everything_ownerId_fkey" FOREIGN KEY ("ownerId") REFERENCES "users"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Post"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- CreateEnum
CREATE TYPE "depot"."Odd" AS ENUM ('constructor', 'toString', 'hasOwnProperty');

-- CreateTable
CREATE TABLE "Inherited" (
    "constructor" INTEGER NOT NULL PRIMARY KEY,
    "toString" TEXT NOT NULL,
    "valueOf" "depot"."Odd" NOT NULL DEFAULT 'constructor',
    "hasOwnProperty" INTEGER REFERENCES "Inherited",
    UNIQUE ("toString", "valueOf")
);

-- CreateTable
CREATE TABLE "depot"."prototype" (
    "constructor" INTEGER NOT NULL PRIMARY KEY,
    "toString" INTEGER NOT NULL REFERENCES "Inherited"
);

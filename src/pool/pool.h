/* SPDX-License-Identifier: Apache-2.0 */
/* The pool process's state, shared by its files. One thread, one loop.
 *
 *   client: a session of somebody's driver, over TCP, a unix socket or a worker's ring (client.c).
 *   server: a connection to Postgres (server.c), lent to one client at a time.
 *   pool:   the servers of one (database, user) and the clients that wait for one (lend.c).
 *
 * On the data path only types and lengths of messages are looked at; the bytes go from one read to
 * one write. An idle client owns its record and nothing else. */
#ifndef WEIR_POOL_H
#define WEIR_POOL_H

#include <sys/socket.h>

#include "buffer.h"
#include "pool_plan.h"
#include "expect.h"
#include "list.h"
#include "loop.h"
#include "params.h"
#include "record.h"
#include "statements.h"
#include "stream.h"
#include "tcp.h"
#include "tenant.h"
#include "wire.h"

enum {
    CONTROL_FD = 3,
    READ_BYTES = 64 * 1024, /* of the one buffer that everything is read into */
    TICK_MS = 100,
    MESSAGE_KEPT_BYTES_MAX = 16 * 1024 * 1024, /* a message that must be seen whole */
    EXPECT_MAX = 8192,  /* answers that are outstanding: then a client is not read from */
    CONNECTING_MAX = 4, /* at once, of one pool */
    NUMBERS_BITS = 20,  /* of a process; each restart has the next million */
    NUMBERS_GENERATIONS = 1000,
    SESSION_NUMBERS = 1 << 30,   /* added to what clients are told: no process has such an id */
    AGAIN_BYTES_MAX = 16 * 1024, /* of a batch that may be asked once more */
};

#define IDS_OF_A_PROCESS UINT64_C(1000000000000) /* its clients' and servers' */

enum client_state {
    CLIENT_LOGIN,
    CLIENT_READY,   /* between two messages, with or without a server */
    CLIENT_WAITING, /* in its pool's queue */
    CLIENT_ADMIN,   /* of the console */
};

struct client {
    struct stream stream;
    struct link link;    /* of pool_process.clients */
    struct link waiting; /* of its pool's queue */
    union {
        struct link stranger; /* of pool_process.strangers, until it is known who it is; then: */
        struct link turn;     /* of its tenant's part of the queue; of those that wait for a result;
                                 of its pool's logins */
    };
    struct link again;   /* of those that go on in the next turn */
    struct pool *pool;   /* NULL before it has logged in, and for the console */
    struct tally *tally; /* of its own user; NULL before it has logged in */
    struct tenant *tenant;
    struct server *server;
    struct params *params; /* what its session has */
    struct params *given;  /* … has begun with; startup_params: and all else was of the server, */
    struct params *base, *startup_params; /* whose `base` that was; NULL: not known */
    struct names names;
    struct statement *unnamed;          /* what its unnamed statement is: a reference */
    uint64_t unnamed_told;              /* … and what it was told of it, as names_told */
    struct buffer *in;                  /* the beginning of a message, when there is one */
    struct buffer *out;                 /* what it did not take yet */
    struct login *login;                /* until it is in */
    struct subscription *subscriptions; /* what it listens to */
    struct buffer *unlistens;           /* … and does not, when its transaction is through */
    struct channel *awaits_listen;      /* its LISTEN to it does not hold yet; NULL: none waits */
    struct watch *awaited;              /* somebody's result that may be its own, too (cache.h) */
    struct buffer *late;                /* notifications that came in the middle of a row */
    struct console *console;            /* what it does on the console */
    char *trouble; /* an ErrorResponse for its next query, about what happened behind its back */
    uint64_t cancel_key;
    uint64_t id; /* counts clients and servers, of all time */
    uint64_t connected_us;
    uint64_t since_us;       /* it waits, or its transaction runs, or it is idle */
    uint64_t active_us;      /* it has sent or taken something, or waited for its turn */
    uint32_t number;         /* in pool_process.numbers */
    uint32_t told_number;    /* its "process id" */
    uint32_t skip;           /* bytes of a message that go on as they are */
    uint32_t in_bytes;       /* of `in`, as they count in pool_process.in_bytes */
    uint32_t unnamed_serial; /* counts changes of the unnamed statement */
    uint32_t channels_count; /* of subscriptions */
    uint32_t late_bytes;     /* of notifications, since none was late any more */
    enum client_state state;
    bool drop_skipped : 1;     /* … or go nowhere */
    bool goodbye : 1;          /* it has said that it leaves: what it asked for is to be done */
    bool unnamed_in_batch : 1; /* the batch that is read has brought it */
    bool pinned : 1;           /* keeps its server until it leaves or discards everything */
    bool trouble_told : 1; /* to the first of what it had sent by then: all of that hears it */
    bool lost_block : 1; /* its transaction is gone: what goes on with it is in one that failed */
    bool failed : 1; /* without a server: messages up to Sync are ignored, as a server would */
    bool listens_in_batch : 1; /* awaits_listen, which is part of an extended query */
    bool listen_refused : 1;   /* … and can not hold: the server it has shall listen */
    bool has_awaited : 1;      /* … what could not be kept */
    bool awaits_pool : 1;      /* stands in its pool's logins */
    bool told_of_wait : 1;     /* that it waits in the queue, this time */
    bool keeps_reported : 1;   /* a SET of it may have set one to what it was */
    bool unparsed : 1;         /* there are whole messages in `in` */
    bool broken : 1;           /* could not be written to */
    bool terminated : 1;       /* by pg_terminate_backend() of its number, or for its trouble */
    bool may_command : 1;      /* on the console: more than SHOW */
    bool closing : 1;          /* after what is in `out` */
    bool closed : 1;           /* freed at the end of the turn */
    bool is_stranger : 1;      /* … by `stranger` */
    bool too_large : 1;        /* to go along to another process (handover.h), whatever it drops */
};

enum server_state {
    SERVER_CONNECTING, /* up to its first ReadyForQuery */
    SERVER_IDLE,
    SERVER_LENT,
    SERVER_LISTENING, /* for all clients (listen.c) */
    SERVER_CLEANING,  /* nobody's: rolls back, resets, waits for a cancel request */
};

/* What a connection has that was asked to forget all that was set is its base. */
enum renewal {
    RENEWAL_NONE,
    RENEWAL_DISCARDS, /* DISCARD ALL is under way */
    RENEWAL_BEGINS,   /* … and, after it, connect_query */
};

struct server {
    struct stream stream;
    struct link link;  /* of its pool's list for its state */
    struct link again; /* of those that go on in the next turn */
    struct sockaddr_storage address;
    socklen_t address_len;
    uint32_t host; /* of its database's */
    bool by_name;  /* … which is given by name */
    struct pool *pool;
    struct client *client;
    struct params *reported;             /* as it has said it itself */
    struct params *params, *base_params; /* now; with nothing set, as it logged in or since */
    struct params *settled_params; /* its client's before the transaction; NULL without a client */
    struct expect expect;
    struct prepared prepared;
    struct statement *unnamed; /* what is its unnamed statement: a reference, NULL: unknown */
    struct statement *command; /* bound to the unnamed portal, and the pool does it itself: a
                                  reference, NULL: it is another */
    uint64_t signals_number;   /* … which ends or cancels the client of that number; 0: nobody */
    uint64_t unnamed_by; /* where the pool has no names: the client's id that prepared it, or 0 */
    uint64_t unnamed_result; /* what it takes and returns here; 0: not known */
    struct buffer in, out;
    struct server_login *login; /* while connecting */
    struct tcp_watch acknowledged, client_acknowledged;
    uint64_t client_taken;               /* as tcp_taken said it of its client */
    uint64_t id;                         /* as a client's */
    uint64_t born_us, used_us, query_us; /* query_us: when its first unanswered message went out */
    uint64_t progress_us; /* … or, if that is later, when it was last done with a statement */
    const struct wire_error *stopped_for; /* what was under way was cancelled for this, of which its
                                             client is yet to hear; NULL: nothing was */
    uint64_t stopped_us;                  /* … then */
    double lifetime_part; /* of server_lifetime: when others of its age end, it is not among them */
    uint32_t cancel_key_bytes;
    char cancel_key[256];
    uint32_t backend_pid;
    uint32_t skip;
    int64_t unasked_bytes; /* that it has sent since it is idle */
    uint32_t cancels;      /* cancel requests for it that are under way */
    bool stopping;         /* … among them the one for stopped_for: its client is not read */
    enum server_state state;
    char status;         /* of the last ReadyForQuery */
    bool failed;         /* an error in an extended query: up to Sync messages are ignored */
    bool changed_schema; /* in the transaction that runs */
    bool batch_open;     /* messages of an extended query were sent, and no Sync after them */
    bool batch_ran;      /* … among them an Execute: its transaction ends with the batch */
    bool batch_ran_more; /* … and another one */
    bool copy_in;
    bool dirty;                /* has session state that DISCARD ALL takes away */
    bool reset_due;            /* server_reset_query is to run */
    bool fatal;                /* it has told its client that the session is over */
    bool tainted;              /* to be closed instead of lent again */
    bool unfit;                /* … at once: it has not become what its client's session is */
    bool worn;                 /* as well, by what a session has left and no reset takes away */
    bool leaves;               /* tainted, and counted in its pool's leaving */
    bool closed;               /* freed at the end of the turn */
    uint32_t early_syncs;      /* sent in COPY, which ignores them unless it fails first */
    struct watch *watch;       /* the result that comes is to be kept (cache.h); NULL: it is not */
    struct buffer asked_again; /* the batch under way, should it meet a stale plan; or empty */
    char *sets, *sets_to;      /* what was set (expect.h), and holds when the server is ready */
    char *query_text;          /* of the query under way, where slow ones are logged; else NULL */
    char binding[64];          /* of TLS, for SCRAM */
    uint64_t held_us;          /* by its client, in transactions that are over */
    bool asked;                /* something, since it was lent or the last transaction ended */
    bool served;               /* a client, at some time */
    bool checked;  /* has logged in, or answered server_check_query, since it was lent */
    bool fresh;    /* lent, and nothing was asked since */
    bool listens;  /* is for notifications only */
    bool finishes; /* what its client asked for before it left */
    enum renewal renewal;
    bool stale;    /* a plan that it keeps is out of date */
    bool verifies; /* is asked what a statement returns: until then its client is not read on */
    uint64_t described; /* what the Describe that is answered has said so far */
    bool reuses;        /* the batch that is read uses a statement that was prepared before it */
    bool describes;     /* … and asks what its columns are */
    bool resets;        /* the command that runs is a RESET */
    bool committed;     /* the command that was done last is a COMMIT */
    bool pin_unproved;  /* what pins its client is the only thing under way, and may fail */
    bool retries;       /* asks asked_again once more when the server is ready */
    bool drop_skipped;  /* what is skipped is not for the client */
    bool terminates;    /* … of signals_number: it ends it */
    bool portal_clears; /* a portal with a name may take all prepared statements away */
    bool sets_now;      /* what was sent sets or resets a parameter; until it is ready */
};

struct pool {
    struct pool *next;
    struct pool_config *config; /* held */
    const struct database_config *database;
    enum pool_mode mode;
    enum state_policy state;
    char *database_name; /* as the client says it */
    char *replication; /* a replication connection's: its one client's bytes go on as they are; else
                          NULL */
    int replications_max;      /* … how many there may be of its user and database */
    struct params *startup;    /* … what that client began with */
    char *user;                /* who logs in to the server: the database's own, or the client */
    struct pool_limits limits; /* connections_max is the database's, clients_max nobody's */
    int clients_max;           /* of its database; 0: no limit */
    int user_connections_max;  /* of its user, on all databases */
    struct credentials *credentials; /* for logging in to servers */
    struct tls_context *tls;         /* towards servers; NULL until it is needed */
    struct list connecting, idle, lent, cleaning,
        listening;            /* servers; idle: the last used first */
    struct server *listener;  /* the one that listens, or is to; NULL: none */
    struct server *heir;      /* … that is to take its place; NULL: none */
    struct buffer heard;      /* the heir's notifications */
    uint64_t marked_us;       /* when it sent its mark; 0: not yet */
    uint64_t listen_us;       /* neither the one nor the other is made before */
    uint32_t listen_failures; /* since one of them came about */
    struct channel *channels; /* that somebody listens to */
    struct list waiting;      /* clients, the longest waiting first */
    struct list logins;       /* … whose login waits for the first connection */
    struct tenants tenants;   /* whose turn it is */
    struct statements *statements;
    struct cache *cache;    /* NULL: none */
    uint32_t questions;     /* of its own that are under way: it must stay (own.h) */
    uint64_t generation;    /* counts changes of tables and types that passed */
    struct params *welcome; /* the base of the last server whose base was new; NULL: none was yet */
    char *failure;          /* why the last connection failed, while none has worked since */
    char failure_sqlstate[6];
    const char *failure_hint; /* … and what helps, a constant; NULL: what its SQLSTATE says */
    uint32_t next_host;       /* of the next connection, where hosts take turns */
    struct sockaddr_storage slow_address; /* that did not answer in time; … */
    uint64_t slow_us;                     /* … when that was told; 0: none */
    uint64_t retry_us;                    /* no further attempt before */
    uint64_t opened_us;                   /* when it last began to make a connection */
    uint64_t shared_us;                   /* when it was last told of another one's failure */
    uint64_t asked_us;                    /* when one of its connections was last asked to leave */
    uint64_t used_us;                     /* when it last had a client or a server */
    uint32_t clients, own_clients;        /* own: of these, questions of the pool's (own.h) */
    uint32_t failures;
    uint32_t leaving; /* lent connections that another user of the database is to have */
    bool to_serve;
    bool deaf;                      /* the listener, until it hears its mark */
    bool retired;                   /* of an older plan, or one client's alone */
    bool probe_wanted;              /* somebody was told that the database is away: is it still? */
    struct record *record;          /* of its database_name */
    struct pool_counters *counters; /* … and of its user there */
};

struct pool_process {
    struct loop *loop;
    struct pool_config *config;
    struct pool *pools;
    struct tls_context *tls; /* towards clients; NULL: none */
    struct list clients, again, servers_again, closed_clients, closed_servers;
    struct list strangers; /* clients by sockets that have not proved who they are; oldest first */
    uint32_t descriptors_max; /* of the process */
    struct client **numbers;
    uint32_t numbers_cap, numbers_free; /* none below numbers_free is free */
    uint32_t numbers_base;              /* added to them: after a restart others than before */
    uint32_t taken_over;                /* clients that have numbers of an older process */
    uint64_t taken_us, refused_us;      /* when the plan in force came; when one was wrong */
    uid_t owner;                        /* who has started it */
    uint64_t last_id;                   /* of a client or server */
    uint64_t in_bytes;                  /* of messages of clients that are not there as a whole */
    uint32_t consoles;                  /* clients that are in CLIENT_ADMIN */
    uint32_t stop_mode;                 /* enum stop_mode, while draining */
    bool draining, paused, to_serve;
    char read_buffer[READ_BYTES];
};

extern struct pool_process pool_process;

/* ---- pool_main.c ---- */
/* Its lists and loop, before anything else uses it; it has no plan then. */
void pool_process_init(void);
uint64_t pool_now(void); /* microseconds, monotonic */
/* Has it been for longer than the limit? 0: there is none. */
bool pool_passed(uint64_t since_us, int64_t limit_ms);
/* What clients make it keep, all together; is that more than they may (clients_bytes_max)? What is
 * kept only in case is given up before. */
uint64_t pool_kept_bytes(void);
bool pool_is_full(void);
/* client_run, or server_run, in the next turn. */
void pool_again(struct client *client);
void server_again(struct server *server);
/* pool_serve when the turn ends. */
void pool_serve_later(struct pool *pool);

/* The descriptor of the i-th listener for clients; -1: there are no more. */
int pool_listener(int i);

/* ---- client.c ---- */
/* A connection was accepted; takes fd over. */
void client_accept(int fd, bool tcp);
/* A client over another carrier than a socket: the beginning of an allocation of bytes, which is
 * freed with it after the carrier was closed. */
struct client *client_over(const struct stream_carrier *carrier, size_t bytes);
/* A session of another process goes on (handover.h); takes fd over. NULL: it could not be. */
struct client *client_resume(int fd);
/* EPOLLIN: there is something to read; EPOLLOUT: room to write; EPOLLRDHUP: no more will come. */
void client_event(struct client *client, uint32_t events);
/* Reads what is there and sends it on; called when there may be something, or a server came. */
void client_run(struct client *client);
/* The same right after the login, which does not know whether anything came along with it. */
void client_begin(struct client *client);
/* Bytes of a batch that could not be sent on yet; nothing that came after them was read. */
void client_keep(struct client *client, struct slice rest);
/* Takes off the front of *rest what is left of a message whose beginning was taken (skip). */
struct slice client_take_skipped(struct client *client, struct slice *rest);
/* Its unnamed statement is another now, or none (NULL); takes the reference over. */
void client_set_unnamed(struct client *client, struct statement *statement);
/* To the client, as far as it takes it; the rest waits. */
void client_send(struct client *client, const struct iovec *parts, int count);
void client_send_buffer(struct client *client, struct buffer *bytes);
/* It is in: this pool serves it, and it counts as that user's (its pool NULL: the console's). */
void client_join(struct client *client, struct pool *pool, struct record *record, const char *user);
/* It has proved who it is. */
void client_is_known(struct client *client);
/* Ends the session with an error (NULL: without a word); its server is cleaned or closed. */
void client_close(struct client *client, const struct wire_error *error);
void client_free_closed(void);
/* For a loop over pool_process.clients in which one may close others: the next as it was before;
 * once that was closed, the first again, since it is on the list no more. */
struct link *client_next(struct link *next);
/* The pool ends when transactions have: those that wait for one to begin are sent away. */
void client_refuse_waiting(void);
/* … and it ends now: all are told. */
void client_end_all(void);
/* Its next query is answered with this error, which does not end the session. */
void client_trouble(struct client *client, const struct wire_error *error);
/* The same, where it was in a transaction block: what it goes on with there, until it ends it, does
 * not happen outside of one. NULL: it is told already. */
void client_lose_block(struct client *client, const struct wire_error *error);
/* The login is through, and the session begins: appends what it is told. */
void client_welcome(struct client *client, struct buffer *out);
void client_tick(struct client *client, const struct pool_config *config);
/* Its server has this base: what it has neither begun with nor set is as that says, and it is told
 * what that changes. */
void client_follow(struct client *client, struct params *base);
/* What it has set holds: its transaction is over. */
void client_settle_params(struct client *client);
/* Its transaction came to nothing behind its back: what it had set in it has not been. */
void client_return_params(struct client *client);
/* A server refuses what its session begins with: in its next turn it ends with that error. */
void client_refuse(struct client *client, struct slice error);
/* The same, with an error of the pool's own. */
void client_end_soon(struct client *client, const struct wire_error *error);
/* Out of the queue, or of those that wait for another's result, with an error. */
void client_stop_waiting(struct client *client, const struct wire_error *error);
/* By what it was told as its process id. NULL: there is none. */
struct client *client_of_number(uint64_t number);
struct client *client_find(uint32_t number, uint32_t key);

/* ---- login.c; login.h has the rest ---- */
struct login *login_new(void);
void login_free(struct login **login);
/* Reads on in the login. */
void login_run(struct client *client);
/* Its pool has a server that works (error NULL), or can not have one. */
void login_resume(struct client *client, const struct wire_error *error);
/* Some times a second. */
void login_tick(struct client *client);

/* ---- server.c ---- */
struct server *server_new(struct pool *pool);
/* Takes fd over on success. 0 or negative errno. */
int server_open(struct server *server, int fd);
void server_become(struct server *server, enum server_state state);
void server_cancel_done(struct server *server);
/* It has logged in: to be lent. */
void server_is_up(struct server *server);
void server_close(struct server *server, const char *why);
void server_free_closed(void);
/* Those of a list: closed now; not to be lent again. */
void server_close_all(struct list *servers, const char *why);
void server_taint_all(struct list *servers);
/* Reads what is there and sends it to its client. */
void server_run(struct server *server);
/* Between two transactions, with nothing under way? */
bool server_is_free(const struct server *server);
/* Has it done, or does it do, a part of a batch whose Sync is yet to come, and no error ended it?
 */
bool server_is_unsynced(const struct server *server);
/* Out to the server; the rest waits. False: the connection is broken and closed. */
bool server_send(struct server *server, const struct iovec *parts, int count);
/* An idle one is asked whether it works still: it is idle again when it has answered. */
void server_check(struct server *server);
/* A query of our own; label (NULL: none) comes back in its expected entry. False: it is closed. */
bool server_query(struct server *server, const char *sql, const char *label);
/* Its client has begun a transaction block where the mode has none. */
bool server_in_forbidden_block(const struct server *server);
/* The text of what its client asks now, for the log should it be slow. */
void server_note_query(struct server *server, struct slice text);
/* Its client has ended its transaction: it is made fit for the next, and lent. */
void server_release(struct server *server);
/* To be closed after its transaction, for another user of the database. */
void server_leave(struct server *server);
/* A transaction of its client is over: it is counted, and the next begins with what is asked. */
void server_end_transaction(struct server *server);
/* Its client is gone, in the middle of something perhaps. */
void server_lose_client(struct server *server);
/* Why it is not to be lent again, or to listen on; NULL: it may. */
const char *server_wear(const struct server *server);
/* Its peer is gone (tcp.h). To be asked now and then. */
bool server_is_lost(struct server *server);
void server_tick(struct server *server);

/* ---- server_login.c ---- */
/* Connects and logs in; server_is_up or server_connect_failed follows. */
void server_login_start(struct server *server);
void server_login_run(struct server *server, uint32_t events);
void server_login_free(struct server_login **login);
void server_login_tick(struct server *server);
/* Has its database a connect_query, which may have set parameters? */
bool server_begins_with_query(const struct server *server);
/* Is it still what target_session_attrs asked for, as far as it reports that? Where standbys are
 * only preferred it stays. */
bool server_keeps_attrs(const struct server *server);

/* ---- lend.c ---- */
/* user: who logs in to the server. */
struct pool *lend_pool(const struct database_config *database, const char *database_name,
                       const char *user);
/* One for a replication connection, which no other client gets. replication: as the client says it;
 * startup: its parameters. */
struct pool *lend_replication_pool(const struct database_config *database,
                                   const char *database_name, const char *user,
                                   const char *replication, struct params *startup);
/* Clients of the pool's database, of all users. */
uint32_t clients_of_database(const struct pool *pool);
/* How many clients a user may have, on all databases and the console; 0: no limit. */
int clients_max_of_user(const char *user);
/* A server for the client, now. False: it waits in the queue, or was refused (its trouble). */
bool pool_lend(struct pool *pool, struct client *client);
/* Its client has given it back, after so long; nothing more is to be paid for it. */
void pool_take_back(struct client *client, uint64_t used_us);
/* One of its connections is closed: whoever may have one instead is served when the turn ends. */
void pool_closed_one(struct pool *pool);
/* Out of the queue. */
void pool_stop_waiting(struct client *client);
/* Servers are free, or may be made: to those who wait. */
void pool_serve(struct pool *pool);
/* A connection could not be made; error is kept for those who ask. Its hint is a constant, or NULL.
 * in_time: it was not server_connect_timeout that has told so. listens: it was to listen, which
 * tells nothing of the pool while others of its connections are up. silent: no server has said a
 * word, which is as true for other users of the database. */
void pool_connect_failed(struct pool *pool, const struct wire_error *error, bool in_time,
                         bool listens, bool silent);
/* Until the next attempt, after so many failures in a row; refused: it was the login. */
uint64_t pool_retry_delay_us(uint32_t failures, bool refused);
void pool_connect_worked(struct pool *pool);
/* Makes its first connection, if none is on its way. */
void pool_open(struct pool *pool);
void pool_tick(struct pool *pool);
void pool_count(uint64_t *histogram, uint64_t us);
/* Lent connections that their clients keep because of session state. */
uint32_t pool_pinned(const struct pool *pool);
/* Clients that wait for a server connection, or log in and wait for the first that there is. */
uint32_t pool_waiting(const struct pool *pool);
/* By an administrator, alone or with all others? */
bool pool_is_paused(const struct pool *pool);
/* The pool goes on under the plan in force. */
void lend_adopt(struct pool *pool, const struct database_config *database);
/* Pools of an older plan without clients, and those that nobody has used for pool_idle_timeout. */
void lend_free_unwanted(void);
/* The plan in force was changed in its place (console_set.h). */
void lend_set_limits(void);

#endif

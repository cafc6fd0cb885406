/* SPDX-License-Identifier: Apache-2.0 */
#include "private_postgres.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <jansson.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"
#include "sandbox.h"
#include "state_dir.h"

#define USER     "weir"
#define DATABASE "weir"

enum {
    SOCKET_DIR_BYTES_MAX = 85,
    OUTPUT_BYTES_MAX = 16384,
    ENDING_LOOKS_MAX = 200,
    ENDING_LOOK_US = 50000,
};

/* Where everything is, and who runs it. Texts are owned. */
struct place {
    char *dir, *data, *run, *log, *settings; /* settings: port and password, ours alone */
    uid_t uid;
    gid_t gid;
    bool drop; /* become uid first */
    bool has_socket;
};

static void place_done(struct place *place)
{
    free(place->dir);
    free(place->data);
    free(place->run);
    free(place->log);
    free(place->settings);
    *place = (struct place){.dir = NULL};
}

/* For root: may anybody walk down into dir, and nobody else change what lies on the way? Where
 * others may, a symlink of theirs could lead what root writes anywhere. */
static bool is_fit(const char *dir)
{
    AUTO_TEXT copy = xasprintf("%s/", dir);
    struct stat stat_;
    for (char *slash = copy; (slash = strrchr(copy, '/')) && slash > copy;) {
        *slash = 0;
        if (stat(copy, &stat_) < 0)
            continue;
        bool others_write = (stat_.st_mode & 022) && !(stat_.st_mode & S_ISVTX);
        if (!(stat_.st_mode & 1) || stat_.st_uid != 0 || others_write)
            return false;
    }
    return true;
}

static char *hashed(const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char hex[17];
    (void)EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL);
    for (unsigned i = 0; i < 8; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return xstrdup(hex);
}

/* Postgres refuses to run as root. */
static int choose_user(struct place *place, const char *project_dir, struct error *err)
{
    struct stat stat_;
    place->uid = geteuid();
    place->gid = getegid();
    if (place->uid != 0)
        return 0;
    place->drop = true;
    const struct passwd *user =
        stat(project_dir, &stat_) == 0 && stat_.st_uid != 0 ? getpwuid(stat_.st_uid) : NULL;
    if (!user)
        user = getpwnam("postgres");
    if (!user)
        return error_set(err, -ENOENT,
                         "Postgres does not run as root, and there is no user \"postgres\" for it; "
                         "install Debian's package postgresql");
    place->uid = user->pw_uid;
    place->gid = user->pw_gid;
    return 0;
}

static int find_place(const char *project_dir, struct place *ret, struct error *err)
{
    struct place place = {.dir = xasprintf("%s/.weir/postgres", project_dir)};
    int r = choose_user(&place, project_dir, err);
    if (r < 0) {
        place_done(&place);
        return r;
    }
    /* Below a directory that only root enters, /root say, nobody else could run it; and a project of
     * somebody else's is no place for root to write to. */
    if (place.drop && !is_fit(project_dir)) {
        AUTO_TEXT name = hashed(place.dir);
        free(place.dir);
        place.dir = xasprintf("/var/lib/weir/postgres-%s", name);
    }
    place.data = xasprintf("%s/data", place.dir);
    place.run = xasprintf("%s/run", place.dir);
    place.log = xasprintf("%s/log", place.dir);
    place.settings = xasprintf("%s/settings.json", place.dir);
    place.has_socket = strlen(place.run) <= SOCKET_DIR_BYTES_MAX;
    *ret = place;
    return 0;
}

/* ---- programs ---- */

static char *program_of(const char *version, const char *name)
{
    glob_t found;
    AUTO_TEXT pattern = xasprintf("/usr/lib/postgresql/%s/bin/%s", version, name);
    char *result = NULL;
    if (glob(pattern, 0, NULL, &found) == 0 && found.gl_pathc > 0) /* sorted: the newest is last */
        result = xstrdup(found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    return result;
}

char *private_postgres_program(const char *name, struct error *err)
{
    char *program = program_of("*", name);
    if (!program)
        (void)error_set(err, -ENOENT,
                        "there is no Postgres server here (%s was not found below "
                        "/usr/lib/postgresql); apt install postgresql, or give the database as "
                        "localConnectionString",
                        name);
    return program;
}

/* The one that made the data; other versions can not read it. */
static char *program_for_data(const struct place *place, const char *name, struct error *err)
{
    AUTO_TEXT path = xasprintf("%s/PG_VERSION", place->data);
    char version[16] = "";
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, version, sizeof(version) - 1);
    if (got <= 0)
        return private_postgres_program(name, err);
    version[strcspn(version, "\n")] = 0;
    char *program = program_of(version, name);
    if (!program)
        (void)error_set(
            err, -ENOENT,
            "%s is of Postgres %s, which is not installed; apt install postgresql-%s, or "
            "weir db reset, which deletes the data",
            place->data, version, version);
    return program;
}

static void become(const struct place *place)
{
    if (place->drop && (setgroups(0, NULL) < 0 || setgid(place->gid) < 0 || setuid(place->uid) < 0))
        _exit(126);
}

/* Runs it as the place's user, in its directory; what it prints goes to output. 0, or -1. input:
 * for its stdin. */
static int run(const struct place *place, const char *const argv[], const char *input,
               struct buffer *output)
{
    int out[2], in[2], status = 0;
    if (pipe2(out, O_CLOEXEC) < 0)
        return -1;
    if (pipe2(in, O_CLOEXEC) < 0) {
        (void)close(out[0]);
        (void)close(out[1]);
        return -1;
    }
    if (place->drop) /* initdb opens it once more, by its name */
        (void)!fchown(in[0], place->uid, place->gid);
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        (void)dup2(out[1], STDERR_FILENO);
        become(place);
        if (chdir(place->dir) < 0)
            _exit(126);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    if (input)
        (void)!write(in[1], input, strlen(input)); /* shorter than a pipe takes */
    (void)close(in[1]);
    ssize_t got;
    while (pid > 0 && buffer_len(output) < OUTPUT_BYTES_MAX &&
           ((got = read(out[0], buffer_reserve(output, 4096), 4096)) > 0 ||
            (got < 0 && errno == EINTR)))
        output->end += got > 0 ? (size_t)got : 0;
    (void)close(out[0]);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* The last lines of a text that may be long. */
static const char *tail(struct buffer *text)
{
    while (buffer_len(text) > 0 && text->data[text->end - 1] == '\n')
        text->end--;
    buffer_append(text, "", 1);
    const char *from = text->data + text->start;
    size_t len = strlen(from);
    return len > 400 ? from + len - 400 : from;
}

/* ---- settings ---- */

static json_t *read_settings(const struct place *place)
{
    return json_load_file(place->settings, 0, NULL);
}

static int write_settings(const struct place *place, const json_t *settings, struct error *err)
{
    AUTO_TEXT text = json_dumps(settings, JSON_COMPACT);
    AUTO_TEXT beside = xasprintf("%s.new", place->settings);
    AUTO_FD fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) ||
        rename(beside, place->settings) < 0)
        return error_set(err, -errno, "cannot write %s: %s", place->settings, strerror(errno));
    return 0;
}

static char *random_text(void)
{
    unsigned char bytes[16];
    char hex[33];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        abort();
    for (unsigned i = 0; i < sizeof(bytes); i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return xstrdup(hex);
}

/* A port that is free now; 0: none. wanted: that one, if it is free. */
static int free_port(int wanted)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)wanted)};
    socklen_t len = sizeof(address);
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0)
        return wanted ? free_port(0) : 0;
    return ntohs(address.sin_port);
}

/* ---- making it ---- */

static int make_dir(const struct place *place, const char *path, mode_t mode, bool theirs,
                    struct error *err)
{
    if ((mkdir(path, mode) < 0 && errno != EEXIST) || chmod(path, mode) < 0 ||
        (theirs && place->drop && chown(path, place->uid, place->gid) < 0))
        return error_set(err, -errno, "cannot make %s: %s", path, strerror(errno));
    return 0;
}

/* The directory of the project leads there, so that it is found and goes with it. */
static int make_dirs(const struct place *place, const char *project_dir, struct error *err)
{
    AUTO_TEXT state = xasprintf("%s/.weir", project_dir);
    AUTO_TEXT link = xasprintf("%s/postgres", state);
    int r = state_dir_make(state, err);
    if (r == 0 && strcmp(link, place->dir) != 0) {
        r = make_dir(place, "/var/lib/weir", 0755, false, err);
        if (r == 0 && symlink(place->dir, link) < 0 && errno != EEXIST)
            r = error_set(err, -errno, "cannot make %s: %s", link, strerror(errno));
    } else if (r == 0 && place->drop) {
        (void)chmod(state, 0711); /* for them to pass */
    }
    if (r == 0)
        r = make_dir(place, place->dir, 0755, false, err);
    if (r == 0)
        r = make_dir(place, place->data, 0700, true, err);
    return r == 0 ? make_dir(place, place->run, 0755, true, err) : r;
}

static int initialise(const struct place *place, struct error *err)
{
    AUTO_TEXT initdb = private_postgres_program("initdb", err);
    AUTO_TEXT postgres = private_postgres_program("postgres", err);
    AUTO_BUFFER output = {0};
    if (!initdb || !postgres)
        return -1;
    AUTO_TEXT password = random_text();
    /* The password goes by stdin, where no other process can read it. */
    const char *const make[] = {initdb,
                                "-D",
                                place->data,
                                "-U",
                                USER,
                                "-A",
                                "scram-sha-256",
                                "-E",
                                "UTF8",
                                "--locale=C.UTF-8",
                                "--pwfile=/dev/stdin",
                                "--no-instructions",
                                NULL};
    AUTO_TEXT line = xasprintf("%s\n", password);
    if (run(place, make, line, &output) < 0)
        return error_set(err, -EIO, "initdb failed: %s", tail(&output));
    const char *const single[] = {postgres, "--single", "-D", place->data, "postgres", NULL};
    output.start = output.end = 0;
    if (run(place, single, "CREATE DATABASE " DATABASE "\n", &output) < 0)
        return error_set(err, -EIO, "the database could not be made: %s", tail(&output));
    json_t *settings = json_pack("{s:s, s:i}", "password", password, "port", free_port(0));
    int r = write_settings(place, settings, err);
    json_decref(settings);
    return r;
}

/* ---- running it ---- */

/* What a postmaster says of itself in its lock file, which stays there when it was killed. */
struct lock_file {
    int pid;
    int memory_key, memory_id; /* of System V: who has it attached is of this postmaster */
    bool stopping;
};

/* One item a line, as Postgres's pidfile.h lists them. */
static int read_lock_file(const struct place *place, struct lock_file *ret)
{
    AUTO_TEXT path = xasprintf("%s/postmaster.pid", place->data);
    char text[4096] = "", *rest = text;
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
        return -ESRCH;
    *ret = (struct lock_file){.pid = atoi(text), .memory_id = -1};
    for (int line = 1; rest; line++) {
        const char *item = strsep(&rest, "\n");
        unsigned long key, id;
        if (line == 7 && sscanf(item, "%lu %lu", &key, &id) == 2) {
            ret->memory_key = (int)key;
            ret->memory_id = (int)id;
        }
        if (line == 8)
            ret->stopping = strncmp(item, "stopping", 8) == 0;
    }
    return 0;
}

/* A pidfd, or negative errno. */
static int process_of(const struct place *place)
{
    struct lock_file lock;
    if (read_lock_file(place, &lock) < 0)
        return -ESRCH;
    int process = pidfd_open(lock.pid, 0);
    return process < 0 ? -errno : process;
}

static bool has_ended(int process)
{
    struct pollfd end = {.fd = process, .events = POLLIN};
    return poll(&end, 1, 0) == 1;
}

/* Does it stop, or was it killed, and is there still until init has reaped it, or sessions of it
 * are until they notice? Meanwhile none can start; whatever else keeps it from starting stays. */
static bool is_ending(const struct place *place)
{
    struct lock_file lock;
    struct shmid_ds memory;
    if (read_lock_file(place, &lock) < 0)
        return false;
    AUTO_FD process = pidfd_open(lock.pid, 0);
    if (process >= 0)
        return lock.stopping || has_ended(process);
    return shmctl(lock.memory_id, IPC_STAT, &memory) == 0 &&
           memory.shm_perm.__key == lock.memory_key && memory.shm_nattch > 0;
}

static void wait_for_end(const struct place *place)
{
    for (int looks = 0; looks < ENDING_LOOKS_MAX && is_ending(place); looks++)
        (void)usleep(ENDING_LOOK_US);
}

static bool runs(const struct place *place)
{
    struct error err = {""};
    AUTO_TEXT program = program_for_data(place, "pg_ctl", &err);
    AUTO_BUFFER output = {0};
    if (!program || access(place->settings, F_OK) < 0)
        return false;
    AUTO_FD process = process_of(place);
    if (process >= 0 && has_ended(process))
        return false; /* pg_ctl still sees it until init has reaped it */
    const char *const argv[] = {program, "-D", place->data, "status", NULL};
    return run(place, argv, NULL, &output) == 0;
}

static int start(const struct place *place, struct error *err)
{
    AUTO_TEXT program = program_for_data(place, "pg_ctl", err);
    AUTO_BUFFER output = {0};
    json_t *settings = read_settings(place);
    if (!program || !settings) {
        json_decref(settings);
        return program ? error_set(err, -EIO, "%s can not be read; weir db reset makes a new one",
                                   place->settings)
                       : -ENOENT;
    }
    int before = (int)json_integer_value(json_object_get(settings, "port")),
        port = free_port(before);
    int r = 0;
    if (port != before) {
        (void)json_object_set_new(settings, "port", json_integer(port));
        r = write_settings(place, settings, err);
    }
    json_decref(settings);
    if (r < 0)
        return r;
    /* By names below the directory, which it runs in, since pg_ctl gives them to a shell, and
     * commas part those of sockets: what the project's is called is nothing for either. */
    AUTO_TEXT options =
        xasprintf("-c listen_addresses=127.0.0.1 -p %d -c unix_socket_directories='%s' "
                  "-c shared_buffers=32MB -c max_connections=100 -c log_min_messages=warning",
                  port, place->has_socket ? "../run" : ""); /* from data */
    const char *const argv[] = {program, "-D", "data", "-l",    "log",   "-s", "-w",
                                "-t",    "30", "-o",   options, "start", NULL};
    AUTO_FD log = open(place->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0 && place->drop)
        (void)!fchown(log, place->uid, place->gid);
    if (run(place, argv, NULL, &output) < 0)
        return error_set(err, -EIO, "the private Postgres does not start: %s (its log is %s)",
                         tail(&output), place->log);
    return 0;
}

/* One at a time makes or starts it. */
static int lock_dir(const struct place *place)
{
    AUTO_FD fd = open(place->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return -errno;
    int result = fd;
    fd = -1;
    return result;
}

static int ensure(const struct place *place, const char *project_dir, struct error *err)
{
    AUTO_TEXT version = xasprintf("%s/PG_VERSION", place->data);
    int r = make_dirs(place, project_dir, err);
    if (r < 0)
        return r;
    AUTO_FD lock = lock_dir(place);
    if (lock < 0)
        return error_set(err, lock, "cannot lock %s: %s", place->dir, strerror(-lock));
    if (access(place->settings, F_OK) < 0) {
        (void)fprintf(stderr,
                      "weir: making a private Postgres in %s/.weir/postgres, which takes a "
                      "few seconds\n",
                      project_dir);
        if (access(version, F_OK) == 0) /* half made */
            state_dir_remove(place->data);
        r = make_dirs(place, project_dir, err);
        if (r == 0)
            r = initialise(place, err);
    }
    if (r == 0)
        wait_for_end(place);
    return r == 0 && !runs(place) ? start(place, err) : r;
}

static char *url_of(const struct place *place, bool by_socket, struct error *err)
{
    json_t *settings = read_settings(place);
    const char *password = json_string_value(json_object_get(settings, "password"));
    int port = (int)json_integer_value(json_object_get(settings, "port"));
    char *url = NULL;
    if (!password || port == 0) {
        (void)error_set(err, -EIO, "%s can not be read; weir db reset makes a new one",
                        place->settings);
    } else if (by_socket && place->has_socket) {
        AUTO_BUFFER host = {0};
        for (const char *c = place->run; *c; c++) {
            bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                         (*c >= '0' && *c <= '9') || strchr("-._", *c);
            buffer_printf(&host, plain ? "%c" : "%%%02X", (unsigned char)*c);
        }
        url = xasprintf("postgresql://" USER ":%s@%.*s:%d/" DATABASE "?sslmode=disable", password,
                        (int)buffer_len(&host), host.data + host.start, port);
    } else {
        url = xasprintf("postgresql://" USER ":%s@127.0.0.1:%d/" DATABASE "?sslmode=disable",
                        password, port);
    }
    json_decref(settings);
    return url;
}

static char *ensured_url(const char *project_dir, bool by_socket, struct error *err)
{
    struct place place;
    if (find_place(project_dir, &place, err) < 0)
        return NULL;
    char *url = ensure(&place, project_dir, err) == 0 ? url_of(&place, by_socket, err) : NULL;
    place_done(&place);
    return url;
}

char *private_postgres_url(const char *project_dir, struct error *err)
{
    return ensured_url(project_dir, true, err);
}

char *private_postgres_tcp_url(const char *project_dir, struct error *err)
{
    return ensured_url(project_dir, false, err);
}

bool private_postgres_runs(const char *project_dir)
{
    struct error err = {""};
    struct place place;
    if (find_place(project_dir, &place, &err) < 0)
        return false;
    bool result = runs(&place);
    place_done(&place);
    return result;
}

bool private_postgres_exists(const char *project_dir)
{
    struct error err = {""};
    struct place place;
    if (find_place(project_dir, &place, &err) < 0)
        return false;
    bool result = access(place.settings, F_OK) == 0;
    place_done(&place);
    return result;
}

static int stop(const struct place *place, struct error *err)
{
    AUTO_FD lock = lock_dir(place);
    AUTO_BUFFER output = {0};
    if (lock < 0 || !runs(place))
        return 0;
    AUTO_TEXT program = program_for_data(place, "pg_ctl", err);
    const char *const argv[] = {program, "-D", place->data, "-m",   "fast", "-s",
                                "-w",    "-t", "30",        "stop", NULL};
    if (!program || run(place, argv, NULL, &output) < 0)
        return error_set(err, -EIO, "the private Postgres does not stop: %s", tail(&output));
    return 0;
}

static int remove_all(const struct place *place, struct error *err)
{
    int r = stop(place, err);
    if (r == 0)
        state_dir_remove(place->dir);
    return r;
}

/* Where the project is; does what is to be done while nobody holds it. */
static int act_alone(const char *project_dir, int act(const struct place *place, struct error *err),
                     struct error *err)
{
    AUTO_TEXT state = xasprintf("%s/.weir", project_dir);
    AUTO_FD alone = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct place place;
    if (alone >= 0 && flock(alone, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return error_set(err, -EBUSY,
                         "the private Postgres is in use by a weir dev, or a prompt of weir db, of "
                         "this project; end that first");
    int r = find_place(project_dir, &place, err);
    if (r < 0)
        return r;
    r = act(&place, err);
    place_done(&place);
    return r;
}

int private_postgres_stop(const char *project_dir, struct error *err)
{
    return act_alone(project_dir, stop, err);
}

int private_postgres_remove(const char *project_dir, struct error *err)
{
    AUTO_TEXT link = xasprintf("%s/.weir/postgres", project_dir);
    int r = act_alone(project_dir, remove_all, err);
    if (r == 0)
        (void)unlink(link); /* if it was one */
    return r;
}

int private_postgres_process(const char *project_dir)
{
    struct error err = {""};
    struct place place;
    int r = find_place(project_dir, &place, &err);
    if (r < 0)
        return r;
    r = process_of(&place);
    place_done(&place);
    return r;
}

/* ---- who holds it ---- */

int private_postgres_hold(const char *project_dir)
{
    AUTO_TEXT state = xasprintf("%s/.weir", project_dir);
    struct error err = {""};
    if (state_dir_make(state, &err) < 0)
        return -EACCES;
    AUTO_FD fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_SH) < 0)
        return -errno;
    int result = fd;
    fd = -1;
    return result;
}

/* The lock is one with its parent's: until it has tried, nobody else gets it. */
static void watch_parent(struct place *place, int parent, int leave, int hold)
{
    const int keep[] = {parent, leave, hold};
    struct pollfd ends[] = {{.fd = leave, .events = POLLIN}, {.fd = parent, .events = POLLIN}};
    struct error err = {""};
    (void)setsid();
    (void)prctl(PR_SET_NAME, "weir-db-guard", 0, 0, 0);
    int null = open("/dev/null", O_RDWR);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)dup2(null, fd);
    sandbox_close_fds(STDERR_FILENO + 1, keep, ARRAY_LEN(keep));
    become(place);
    place->drop = false;
    while (poll(ends, ARRAY_LEN(ends), -1) < 0)
        continue;
    if (!ends[0].revents && flock(hold, LOCK_EX | LOCK_NB) == 0)
        (void)stop(place, &err);
}

static int guard = -1; /* an eventfd by which it is told to leave */

void private_postgres_guard(const char *project_dir, int hold)
{
    struct error err = {""};
    struct place place;
    if (guard >= 0 || hold < 0 || find_place(project_dir, &place, &err) < 0)
        return;
    AUTO_FD parent = pidfd_open(getpid(), 0);
    guard = eventfd(0, EFD_CLOEXEC);
    pid_t pid = parent < 0 || guard < 0 ? -1 : fork();
    if (pid == 0) {
        if (fork() == 0) /* nobody's child, for nobody to wait for it */
            watch_parent(&place, parent, guard, hold);
        _exit(0);
    }
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    place_done(&place);
}

void private_postgres_release(const char *project_dir, int hold)
{
    struct error err = {""};
    struct place place;
    if (hold < 0)
        return;
    if (guard >= 0)
        (void)eventfd_write(guard, 1);
    fd_close(&guard);
    if (flock(hold, LOCK_EX | LOCK_NB) == 0 && find_place(project_dir, &place, &err) == 0) {
        if (access(place.settings, F_OK) == 0 && stop(&place, &err) < 0)
            (void)fprintf(stderr, "weir: %s\n", err.text);
        place_done(&place);
    }
    (void)flock(hold, LOCK_UN); /* the guard may still have it */
    (void)close(hold);
}

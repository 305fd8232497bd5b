/* load: a closed-loop load generator for stream servers on loopback (Linux, one thread, epoll).
 *
 *   load -m MODE -p PORT [-c CONNECTIONS] [-s SIZE] [-d DEPTH] [-t SECONDS] [-w SECONDS]
 *        [-b BACKEND] [-P PID,…] [-r]
 *
 * MODE is one of
 *   echo    every connection keeps DEPTH messages of SIZE bytes in flight, and counts their echoes
 *   line    as echo; a message is a line, and its answer the same line in upper case
 *   churn   connect, send, receive the echo, close on both sides, and again
 *   hold    connect, one message each, report, and stay idle until standard input ends
 *   sink    send without end; the server reads and discards
 *   stream  through a proxy: both ends send without end, and discard what arrives
 *   relay   through a proxy: as echo; the far end answers
 *   fanout  the first connection sends a message when all have received the one before; the
 *           server has sent one byte to each connection when that is among the receivers
 *
 * BACKEND is the number of an inherited listening descriptor, to which the proxy connects. After
 * -w seconds that do not count, -t seconds are measured; the PIDs are the server's, whose CPU time
 * is measured with them. One line of JSON goes to standard output. A wrong byte, or an end that was
 * not asked for, ends the run with a message and status 1.
 *
 * Compiled with -DTLS, it speaks TLS in the modes echo, churn and hold, and verifies nobody. With
 * -r a connection of churn resumes the session of one before; one that does not ends the run.
 *
 * Both directions of a connection carry one endless text with a short period, so that where a
 * byte stands tells what it must be: one memcmp finds what is lost, doubled or out of order, and
 * neither an echoing far end nor a slow receiver needs a buffer.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef TLS
#include <openssl/err.h>
#include <openssl/ssl.h>
#else
typedef void SSL;
#endif

enum {
    PERIOD = 4093,          /* of the text: prime, so no message boundary keeps its place in it */
    CHUNK = 256 * 1024,     /* bytes in one send or recv at most */
    SENDS = 8,              /* in a turn */
    GREETING = 1000,        /* bytes at most in the round trip that opens a connection */
    EVENTS = 512,
    BUCKETS = 4096,
    SERVERS = 64,           /* processes of a server, at most */
    SOURCES = 250,          /* 127.0.0.2 and on: more than the ports of one address allow */
    COPIED = 16 * 1024,     /* larger messages are mostly measured without copying them */
};

struct mode;

struct connection {
    int fd;
    SSL *ssl;                                   /* none without TLS */
    bool starved;                               /* TLS has to receive before it can send */
    bool resumes;                               /* it has begun with the session of another */
    bool answers;                               /* it is the far end, whose bytes do not count */
    uint32_t interest;                          /* the epoll events that it waits for */
    uint64_t sent, received, budget;            /* bytes; it may send up to its budget */
    uint64_t done;                              /* messages that are complete */
    uint64_t *began;                            /* when each of those in flight was begun, ns */
    void (*arrived)(struct connection *);       /* what more bytes mean to it */
    void (*ended)(struct connection *);         /* what the end of the stream means to it */
};

struct mode {
    const char *name;
    void (*open)(void);                         /* opens one more connection */
    bool endless;                               /* it sends without end, SIZE bytes at a time */
    bool counts_sent;                           /* what is sent counts, not what is received */
};

static struct {
    const struct mode *mode;
    int port, backend;
    uint64_t connections, size, depth;
    double seconds, warmup;
    pid_t servers[SERVERS];
    int server_count;
    bool resumes;
} options = {
    .backend = -1, .connections = 1, .size = 1000, .depth = 1, .seconds = 1, .warmup = 0.2,
};

static struct {
    bool on;
    uint64_t began, ended;                      /* ns */
    double server_cpu;                          /* seconds */
    uint64_t messages, bytes;
    uint64_t latencies[BUCKETS], longest;       /* counts by bucket; ns */
} measured;

static int poller;
static uint64_t opened;                         /* connections so far */
static uint64_t period = PERIOD, chunk = CHUNK;
static char said[PERIOD + CHUNK], heard[PERIOD + CHUNK], input[CHUNK];

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

static void check(bool good, const char *what) {
    if (!good)
        fail("%s: %s", what, strerror(errno));
}

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ull + t.tv_nsec;
}

/* The CPU time of the server's processes, in seconds, with their system calls. */
static double server_cpu(void) {
    double seconds = 0;
    for (int i = 0; i < options.server_count; i++) {
        clockid_t clock;
        struct timespec t;
        if (!clock_getcpuclockid(options.servers[i], &clock) && !clock_gettime(clock, &t))
            seconds += t.tv_sec + t.tv_nsec / 1e9;
    }
    return seconds;
}

/* --- latencies: 64 buckets for each power of two, so within 1.6 % --------------------------- */

static unsigned bucket_of(uint64_t value) {
    if (value < 128)
        return value;
    unsigned shift = 57 - __builtin_clzll(value);
    return (shift << 6) + (value >> shift);
}

static double middle_of(unsigned bucket) {
    if (bucket < 128)
        return bucket;
    unsigned shift = (bucket >> 6) - 1;
    return ((64 + (bucket & 63)) + 0.5) * (1ull << shift);
}

/* A message is complete. Returns the time, at which the next may begin. */
static uint64_t record(uint64_t began) {
    uint64_t ended = now(), latency = ended - began;
    if (measured.on) {
        measured.messages++;
        measured.latencies[bucket_of(latency)]++;
        if (latency > measured.longest)
            measured.longest = latency;
    }
    return ended;
}

/* In microseconds; `part` is of one. */
static double percentile(double part) {
    uint64_t below = 0, wanted = part * measured.messages;
    double found = measured.longest;
    for (unsigned i = 0; i < BUCKETS; i++) {
        below += measured.latencies[i];
        if (below > wanted) {
            found = middle_of(i);
            break;
        }
    }
    return (found < measured.longest ? found : measured.longest) / 1000;
}

/* --- the text ------------------------------------------------------------------------------ */

static void write_text(void) {
    bool lines = !strcmp(options.mode->name, "line");
    if (lines)
        period = options.size;
    if (lines && period > GREETING)
        fail("a line has at most %d bytes", GREETING);
    uint32_t state = 1;
    for (uint64_t i = 0; i < period; i++) {
        state = state * 1664525 + 1013904223;
        said[i] = lines ? "abcdefghijklmnopqrstuvwxyz"[(state >> 24) % 26] : (char)(state >> 24);
    }
    if (lines)
        said[period - 1] = '\n';
    for (uint64_t i = period; i < sizeof said; i++)
        said[i] = said[i - period];
    for (uint64_t i = 0; i < sizeof said; i++)
        heard[i] = lines ? toupper(said[i]) : said[i];
}

static void verify(uint64_t position, size_t length) {
    if (memcmp(input, heard + position % period, length))
        fail("what was received is not what was sent, within %zu bytes from byte %llu", length,
             (unsigned long long)position);
}

/* --- plain text and TLS -------------------------------------------------------------------- */

#ifdef TLS

static SSL_CTX *context;
static SSL_SESSION *session;                    /* of the last connection that has ended well */

static void begin_tls(struct connection *c) {
    if (!context) {
        context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE
                                  | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    c->ssl = SSL_new(context);
    if (!c->ssl || !SSL_set_fd(c->ssl, c->fd))
        fail("TLS: %s", ERR_reason_error_string(ERR_get_error()));
    SSL_set_connect_state(c->ssl);
    c->resumes = options.resumes && session;
    if (c->resumes)
        SSL_set_session(c->ssl, session);
}

static void set_blocking(struct connection *c, bool blocking) {
    int flags = fcntl(c->fd, F_GETFL);
    check(flags >= 0, "fcntl");
    flags = blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    check(!fcntl(c->fd, F_SETFL, flags), "fcntl");
}

/* As send() and recv() would have it. */
static ssize_t outcome(struct connection *c, int n) {
    if (n > 0)
        return n;
    int error = SSL_get_error(c->ssl, n);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        c->starved = error == SSL_ERROR_WANT_READ;
        errno = EAGAIN;
        return -1;
    }
    unsigned long reason = ERR_get_error();
    if (error == SSL_ERROR_SSL && ERR_GET_REASON(reason) != SSL_R_UNEXPECTED_EOF_WHILE_READING)
        fail("TLS: %s", ERR_reason_error_string(reason));
    ERR_clear_error();
    return 0;
}

static ssize_t put(struct connection *c, const char *data, size_t length, int flags) {
    (void)flags;
    c->starved = false;
    return outcome(c, SSL_write(c->ssl, data, length));
}

static ssize_t take(struct connection *c, char *data, size_t length, int flags) {
    (void)flags;
    return outcome(c, SSL_read(c->ssl, data, length));
}

static bool has_more(struct connection *c) {
    return SSL_pending(c->ssl) > 0;
}

static void send_end(struct connection *c) {
    if (options.resumes) {
        if (c->resumes && !SSL_session_reused(c->ssl))
            fail("the server did not resume a session");
        SSL_SESSION_free(session);
        session = SSL_get1_session(c->ssl);
    }
    if (SSL_shutdown(c->ssl) < 0)
        fail("TLS: %s", ERR_reason_error_string(ERR_get_error()));
}

static void hang_up(struct connection *c) {
    SSL_free(c->ssl);
    close(c->fd);
}

#else

static void begin_tls(struct connection *c) {
    (void)c;
}

static void set_blocking(struct connection *c, bool blocking) {
    (void)c, (void)blocking;
}

static ssize_t put(struct connection *c, const char *data, size_t length, int flags) {
    return send(c->fd, data, length, flags | MSG_NOSIGNAL);
}

static ssize_t take(struct connection *c, char *data, size_t length, int flags) {
    return recv(c->fd, data, length, flags);
}

static bool has_more(struct connection *c) {
    (void)c;
    return false;
}

static void send_end(struct connection *c) {
    check(!shutdown(c->fd, SHUT_WR), "shutdown");
}

static void hang_up(struct connection *c) {
    close(c->fd);
}

#endif

/* --- connections --------------------------------------------------------------------------- */

static void watch(struct connection *c, uint32_t interest) {
    if (c->interest == interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = c};
    check(!epoll_ctl(poller, c->interest ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &event), "epoll");
    c->interest = interest;
}

/* Send what the budget allows and the kernel takes, but leave the others their turn. */
static void pump(struct connection *c) {
    for (int i = 0; i < SENDS && c->sent < c->budget; i++) {
        uint64_t left = c->budget - c->sent;
        ssize_t n = put(c, said + c->sent % period, left < chunk ? left : chunk, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        check(n >= 0, "send");
        c->sent += n;
        if (measured.on && options.mode->counts_sent)
            measured.bytes += n;
    }
    watch(c, c->sent < c->budget && !c->starved ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* A large message is measured without copying it: the server's work counts, not ours. Before the
 * measurement every byte is looked at, and during it one read in sixteen. */
static bool to_be_copied(void) {
    static unsigned reads;
    return options.size <= COPIED || !measured.on || reads++ % 16 == 0;
}

static void receive(struct connection *c) {
    bool copied = to_be_copied();
    ssize_t n = take(c, input, CHUNK, MSG_DONTWAIT | (copied ? 0 : MSG_TRUNC));
    if (n < 0 && errno == EAGAIN)
        return;
    check(n >= 0, "recv");
    if (n == 0) {
        c->ended(c);
        return;
    }
    if (copied)
        verify(c->received, n);
    c->received += n;
    if (measured.on && !options.mode->counts_sent && !c->answers)
        measured.bytes += n;
    c->arrived(c);
}

static void too_early(struct connection *c) {
    fail("the server closed a connection after %llu bytes", (unsigned long long)c->received);
}

static void unexpected(struct connection *c) {
    fail("the server sent bytes that were not asked for: it is at %llu, and %llu were sent",
         (unsigned long long)c->received, (unsigned long long)c->sent);
}

/* A connected, still blocking socket, from the next of the source addresses. */
static int dial(void) {
    struct sockaddr_in source = {.sin_family = AF_INET}, target = {.sin_family = AF_INET};
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + opened++ % SOURCES);
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.sin_port = htons(options.port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    check(fd >= 0, "socket");
    check(!setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one), "setsockopt");
    check(!bind(fd, (struct sockaddr *)&source, sizeof source), "bind");
    check(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "setsockopt");
    check(!connect(fd, (struct sockaddr *)&target, sizeof target), "connect");
    return fd;
}

static struct connection *adopt(int fd, void (*arrived)(struct connection *)) {
    struct connection *c = calloc(1, sizeof *c);
    check(c, "calloc");
    c->fd = fd;
    c->arrived = arrived;
    c->ended = too_early;
    if (fd >= 0)
        begin_tls(c);
    return c;
}

/* A round trip of its own, so that no server's accept queue ever holds more than one. */
static void greet(struct connection *c) {
    size_t length = options.size < GREETING ? options.size : GREETING, got = 0;
    check(put(c, said, length, 0) == (ssize_t)length, "send");
    for (ssize_t n; got < length; got += n) {
        n = take(c, input + got, length - got, 0);
        check(n >= 0, "recv");
        if (n == 0)
            fail("the server closed a connection at once");
    }
    verify(0, length);
    set_blocking(c, false);
}

/* --- what a connection does ---------------------------------------------------------------- */

/* Keep `depth` messages in flight: one more for each that has come back. */
static void keep_in_flight(struct connection *c) {
    if (c->received > c->sent)
        unexpected(c);
    while (c->received >= (c->done + 1) * options.size) {
        uint64_t *began = &c->began[c->done++ % options.depth];
        *began = record(*began);
        c->budget += options.size;
    }
    pump(c);
}

static void begin_messages(struct connection *c) {
    c->began = calloc(options.depth, sizeof *c->began);
    check(c->began, "calloc");
    for (uint64_t i = 0; i < options.depth; i++)
        c->began[i] = now();
    c->budget = options.depth * options.size;
    pump(c);
}

static void answer(struct connection *c) {
    c->budget = c->received;
    pump(c);
}

static void discard(struct connection *c) {
    (void)c;
}

static void send_without_end(struct connection *c) {
    c->budget = UINT64_MAX;
    pump(c);
}

static void open_echo(void) {
    struct connection *c = adopt(dial(), keep_in_flight);
    greet(c);
    begin_messages(c);
}

static void open_hold(void) {
    struct connection *c = adopt(dial(), unexpected);
    greet(c);
    watch(c, EPOLLIN);
}

static void open_sink(void) {
    send_without_end(adopt(dial(), unexpected));
}

static int accept_backend(void) {
    int fd = accept4(options.backend, NULL, NULL, SOCK_CLOEXEC), one = 1;
    check(fd >= 0, "accept");
    check(!setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), "setsockopt");
    return fd;
}

static void open_stream(void) {
    int near = dial();
    send_without_end(adopt(accept_backend(), discard));
    send_without_end(adopt(near, discard));
}

static void open_relay(void) {
    int near = dial();
    struct connection *far = adopt(accept_backend(), answer);
    far->answers = true;
    watch(far, EPOLLIN);
    begin_messages(adopt(near, keep_in_flight));
}

/* --- churn: the connection is the message --------------------------------------------------- */

static void redial(struct connection *c);

static void half_close(struct connection *c) {
    if (c->received < options.size)
        return;
    if (c->received > options.size)
        unexpected(c);
    send_end(c);
    c->ended = redial;
}

static void start_churn(struct connection *c) {
    c->began[0] = now();
    c->fd = dial();
    c->interest = 0;
    c->sent = c->received = 0;
    c->ended = too_early;
    begin_tls(c);
    set_blocking(c, false);
    pump(c);
}

static void redial(struct connection *c) {
    hang_up(c);
    record(c->began[0]);
    start_churn(c);
}

static void open_churn(void) {
    struct connection *c = adopt(-1, half_close);
    c->began = calloc(1, sizeof *c->began);
    check(c->began, "calloc");
    c->budget = options.size;
    start_churn(c);
}

/* --- fanout: a message is there when all have it -------------------------------------------- */

static struct connection *publisher;
static uint64_t receivers;                      /* that have the present message */

static void publish(void) {
    publisher->began[0] = now();
    publisher->budget += options.size;
    pump(publisher);
}

static void count_receivers(struct connection *c) {
    if (c->received < (c->done + 1) * options.size)
        return;
    c->done++;
    if (++receivers < options.connections)
        return;
    receivers = 0;
    record(publisher->began[0]);
    publish();
}

static void open_fanout(void) {
    int fd = dial();
    check(recv(fd, input, 1, 0) == 1, "the server's greeting");
    struct connection *c = adopt(fd, count_receivers);
    watch(c, EPOLLIN);
    if (!publisher) {
        publisher = c;
        c->began = calloc(1, sizeof *c->began);
        check(c->began, "calloc");
    }
    if (opened == options.connections)
        publish();
}

/* --- the run ------------------------------------------------------------------------------- */

static const struct mode modes[] = {
    {.name = "echo", .open = open_echo},
    {.name = "line", .open = open_echo},
    {.name = "churn", .open = open_churn},
    {.name = "hold", .open = open_hold},
    {.name = "sink", .open = open_sink, .endless = true, .counts_sent = true},
    {.name = "stream", .open = open_stream, .endless = true},
    {.name = "relay", .open = open_relay},
    {.name = "fanout", .open = open_fanout},
};

static void handle(struct epoll_event *event) {
    struct connection *c = event->data.ptr;
    if (event->events & EPOLLOUT)
        pump(c);
    if (event->events & ~EPOLLOUT) {
        do
            receive(c);
        while (has_more(c));
        if (c->starved)
            pump(c);
    }
}

static void turn(void) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, 100);
    check(count >= 0 || errno == EINTR, "epoll_wait");
    for (int i = 0; i < count; i++)
        handle(&events[i]);
}

static void measure(void) {
    uint64_t start = now() + options.warmup * 1e9;
    while (now() < start)
        turn();
    measured.server_cpu = -server_cpu();
    measured.began = now();
    measured.on = true;
    uint64_t end = measured.began + options.seconds * 1e9;
    while (now() < end)
        turn();
    measured.ended = now();
    measured.server_cpu += server_cpu();
}

static void print_measured(void) {
    double seconds = (measured.ended - measured.began) / 1e9;
    printf("{\"mode\": \"%s\", \"connections\": %llu, \"size\": %llu, \"depth\": %llu, ",
           options.mode->name, (unsigned long long)options.connections,
           (unsigned long long)options.size, (unsigned long long)options.depth);
    printf("\"seconds\": %.6f, \"bytes\": %llu, \"per_second\": %.3f, \"mb_per_second\": %.3f, ",
           seconds, (unsigned long long)measured.bytes,
           measured.bytes / (double)options.size / seconds, measured.bytes / 1e6 / seconds);
    printf("\"server_cpu_seconds\": %.6f", measured.server_cpu);
    if (measured.messages)
        printf(", \"latency_us\": {\"count\": %llu, \"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, "
               "\"p99.9\": %.2f, \"max\": %.2f}", (unsigned long long)measured.messages,
               percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999),
               measured.longest / 1000.0);
    puts("}");
}

static void hold(void) {
    printf("{\"mode\": \"hold\", \"connections\": %llu}\n", (unsigned long long)opened);
    fflush(stdout);
    while (getchar() != EOF)
        ;
}

static const struct mode *mode_named(const char *name) {
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (!strcmp(modes[i].name, name))
            return &modes[i];
    fail("no mode %s", name);
    return NULL;
}

static void parse_servers(char *text) {
    for (char *each = strtok(text, ","); each; each = strtok(NULL, ","))
        if (options.server_count < SERVERS)
            options.servers[options.server_count++] = atoi(each);
}

static void parse(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "m:p:c:s:d:t:w:b:P:r")) != -1;) {
        switch (option) {
        case 'm': options.mode = mode_named(optarg); break;
        case 'p': options.port = atoi(optarg); break;
        case 'c': options.connections = atoll(optarg); break;
        case 's': options.size = atoll(optarg); break;
        case 'd': options.depth = atoll(optarg); break;
        case 't': options.seconds = atof(optarg); break;
        case 'w': options.warmup = atof(optarg); break;
        case 'b': options.backend = atoi(optarg); break;
        case 'P': parse_servers(optarg); break;
        case 'r': options.resumes = true; break;
        default: exit(2);
        }
    }
    if (!options.mode || !options.port || !options.connections || !options.size || !options.depth)
        fail("a mode, a port, and numbers above zero are needed; see the head of load.c");
}

static void allow_many_descriptors(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int count, char **arguments) {
    parse(count, arguments);
    allow_many_descriptors();
    write_text();
    if (options.mode->endless && options.size < CHUNK)
        chunk = options.size;
    poller = epoll_create1(EPOLL_CLOEXEC);
    check(poller >= 0, "epoll_create1");
    for (uint64_t i = 0; i < options.connections; i++)
        options.mode->open();
    if (options.mode->open == open_hold) {
        hold();
        return 0;
    }
    measure();
    print_measured();
    return 0;
}

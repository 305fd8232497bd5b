/* The limit: one thread, one epoll, as little as possible between recv and send.
 *
 *   epoll echo | line | sink | fanout
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, EVENTS = 512, ACCEPTED = 64 };

struct peer {
    int fd;
    size_t place;               /* in `peers` */
    char *queue;                /* what the kernel did not take */
    size_t start, end, room;
};

static int poller, listener;
static struct peer **peers;
static size_t count, room;
static char input[CHUNK];

static void watch(struct peer *peer, int operation, uint32_t interest) {
    struct epoll_event event = {.events = interest, .data.ptr = peer};
    epoll_ctl(poller, operation, peer->fd, &event);
}

static void remove_peer(struct peer *peer) {
    peers[peer->place] = peers[--count];
    peers[peer->place]->place = peer->place;
    close(peer->fd);
    free(peer->queue);
    free(peer);
}

static void enqueue(struct peer *peer, const char *data, size_t length) {
    if (peer->end + length > peer->room) {
        peer->room = 2 * (peer->end + length);
        peer->queue = realloc(peer->queue, peer->room);
    }
    memcpy(peer->queue + peer->end, data, length);
    peer->end += length;
}

/* Whoever does not take its answers is not read from. */
static void reply(struct peer *peer, const char *data, size_t length) {
    if (peer->end) {
        enqueue(peer, data, length);
        return;
    }
    ssize_t sent = send(peer->fd, data, length, MSG_NOSIGNAL);
    if (sent < 0)
        sent = 0;
    if ((size_t)sent < length) {
        enqueue(peer, data + sent, length - sent);
        watch(peer, EPOLL_CTL_MOD, EPOLLOUT);
    }
}

static void flush_queue(struct peer *peer) {
    ssize_t sent = send(peer->fd, peer->queue + peer->start, peer->end - peer->start,
                        MSG_NOSIGNAL);
    if (sent > 0)
        peer->start += sent;
    if (peer->start == peer->end) {
        peer->start = peer->end = 0;
        watch(peer, EPOLL_CTL_MOD, EPOLLIN);
    }
}

/* Upper case needs no whole line. */
static void shout(struct peer *peer, size_t length) {
    for (size_t i = 0; i < length; i++)
        input[i] = toupper(input[i]);
    reply(peer, input, length);
}

static void echo(struct peer *peer, size_t length) {
    reply(peer, input, length);
}

static void sink(struct peer *peer, size_t length) {
    (void)peer, (void)length;
}

static void fanout(struct peer *peer, size_t length) {
    (void)peer;
    for (size_t i = 0; i < count; i++)
        reply(peers[i], input, length);
}

static void (*received)(struct peer *, size_t);

static void add_peer(int fd) {
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct peer *peer = calloc(1, sizeof *peer);
    peer->fd = fd;
    peer->place = count;
    if (count == room)
        peers = realloc(peers, (room = 2 * room + 64) * sizeof *peers);
    peers[count++] = peer;
    watch(peer, EPOLL_CTL_ADD, EPOLLIN);
    if (received == fanout)
        reply(peer, "+", 1);
}

static void accept_some(void) {
    for (int i = 0; i < ACCEPTED; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        add_peer(fd);
    }
}

static void handle(struct epoll_event *event) {
    struct peer *peer = event->data.ptr;
    if (!peer) {
        accept_some();
    } else if (event->events & EPOLLOUT) {
        flush_queue(peer);
    } else {
        ssize_t length = recv(peer->fd, input, CHUNK, 0);
        if (length > 0)
            received(peer, length);
        else if (length == 0 || errno != EAGAIN)
            remove_peer(peer);
    }
}

static void listen_on_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 511))
        exit(1);
    getsockname(listener, (struct sockaddr *)&address, &length);
    struct epoll_event event = {.events = EPOLLIN};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    printf("listening %d\n", ntohs(address.sin_port));
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *behaviour = argc > 1 ? argv[1] : "echo";
    received = !strcmp(behaviour, "line") ? shout : !strcmp(behaviour, "sink") ? sink
             : !strcmp(behaviour, "fanout") ? fanout : echo;
    poller = epoll_create1(EPOLL_CLOEXEC);
    listen_on_loopback();
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++)
            handle(&events[i]);
    }
}

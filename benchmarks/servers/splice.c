/* The limit of a proxy: one thread, one epoll, and no byte copied into this process.
 *
 *   splice proxy TARGET_PORT
 *
 * Each direction of a connection is a pipe between two sockets. Whatever is in the pipe waits for
 * its sink; nothing is read from the source before the pipe is empty again.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PIPE = 256 * 1024, EVENTS = 512 };

struct end {
    int fd;
    uint32_t interest;
    int in, out;                /* the pipe from this end to the other: its two descriptors */
    size_t held;                /* bytes in that pipe */
    int ended;                  /* 1: the peer has ended; 2: and the other end has been told */
    struct end *other;
    struct end *next;           /* among the closed ones */
};

static int poller, listener;
static struct end *closed;      /* freed after the batch: it may hold events for them */
static struct sockaddr_in target = {.sin_family = AF_INET};

static void watch(struct end *end, uint32_t interest) {
    if (end->interest == interest)
        return;
    struct epoll_event event = {.events = interest, .data.ptr = end};
    epoll_ctl(poller, EPOLL_CTL_MOD, end->fd, &event);
    end->interest = interest;
}

static void close_end(struct end *end) {
    close(end->fd);
    close(end->in);
    close(end->out);
    end->fd = -1;
    end->next = closed;
    closed = end;
}

static void free_closed(void) {
    while (closed) {
        struct end *next = closed->next;
        free(closed);
        closed = next;
    }
}

/* Returns -1 when the connection is beyond use. */
static int move(struct end *from) {
    if (!from->held && !from->ended) {
        ssize_t n = splice(from->fd, NULL, from->in, NULL, PIPE,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno != EAGAIN)
            return -1;
        if (n == 0)
            from->ended = 1;
        if (n > 0)
            from->held = n;
    }
    if (from->held) {
        ssize_t n = splice(from->out, NULL, from->other->fd, NULL, from->held,
                           SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno != EAGAIN)
            return -1;
        if (n > 0)
            from->held -= n;
    }
    if (!from->held && from->ended == 1) {
        shutdown(from->other->fd, SHUT_WR);
        from->ended = 2;
    }
    return 0;
}

static void wait_for_more(struct end *end) {
    watch(end, (end->held || end->ended ? 0 : EPOLLIN) | (end->other->held ? EPOLLOUT : 0));
}

static void handle(struct end *end, uint32_t events) {
    struct end *other = end->other;
    if (end->fd < 0)
        return;
    int failed = (events & EPOLLERR) || ((events & (EPOLLIN | EPOLLHUP)) && move(end))
              || ((events & EPOLLOUT) && move(other));
    if (failed || (end->ended == 2 && other->ended == 2)) {
        close_end(end);
        close_end(other);
        return;
    }
    wait_for_more(end);
    wait_for_more(other);
}

static struct end *make_end(int fd) {
    struct end *end = calloc(1, sizeof *end);
    int one = 1, ends[2];
    end->fd = fd;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC))
        exit(1);
    end->out = ends[0];
    end->in = ends[1];
    fcntl(end->in, F_SETPIPE_SZ, PIPE);
    end->interest = EPOLLIN;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = end};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    return end;
}

/* On loopback a connection is there at once; waiting for it here keeps this short. */
static void accept_one(void) {
    int near = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (near < 0)
        return;
    int far = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (far < 0 || connect(far, (struct sockaddr *)&target, sizeof target))
        exit(1);
    fcntl(far, F_SETFL, O_NONBLOCK);
    struct end *one = make_end(near), *two = make_end(far);
    one->other = two;
    two->other = one;
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
    if (argc < 3)
        return 2;
    target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.sin_port = htons(atoi(argv[2]));
    poller = epoll_create1(EPOLL_CLOEXEC);
    listen_on_loopback();
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr)
                handle(events[i].data.ptr, events[i].events);
            else
                accept_one();
        }
        free_closed();
    }
}

/* An open-loop HTTP/1.1 client: requests are due at times that do not depend on the answers.
 *
 *     openload PORT REQUESTS_PER_SECOND SECONDS CONNECTIONS
 *
 * wrk sends the next request when the last is answered, so a server that stalls is simply asked
 * less, and the requests that would have suffered are never sent. Here they stay due: a latency is
 * counted from the moment at which a request was due, also when all connections were busy then.
 * The gaps are exponential (independent users), from one seed, so every server sees the same ones.
 * The loop never sleeps; it has a CPU of its own, and "away" is the share of the time in which it did
 * not have it. What falls due in the first tenth of the time is sent but not counted.
 *
 * "typical_p99" is the median of the 99th percentiles of each tenth of a second. A virtual machine
 * stands still for some milliseconds a few times a second, which nothing in it is told; what waits
 * then is soon one in a hundred requests, and decides "p99" whatever the server does.
 *
 * Prints one line of JSON; exits with 1 and a sentence when an answer is not a 200 with a
 * Content-Length, a connection is closed or answers are missing two seconds after the end.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BUFFER 8192
#define PATIENCE 2000000000LL /* ns */
#define WINDOW 100000000LL    /* ns */

typedef int64_t ns;

struct connection {
    int fd;
    size_t asked; /* which of the requests it has */
    size_t filled;
    char answer[BUFFER + 1];
};

static const struct {
    const char *name;
    double share;
} quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
static const char request[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static ns now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return moment.tv_sec * 1000000000LL + moment.tv_nsec;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect: %m");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

/* The times at which requests are due, ns after the start. */
static ns *schedule(double rate, size_t count) {
    ns *due = malloc(count * sizeof *due);
    double moment = 0;
    srand48(1);
    for (size_t i = 0; i < count; i++) {
        moment -= log(1 - drand48()) / rate * 1e9;
        due[i] = (ns)moment;
    }
    return due;
}

static void ask(struct connection *connection, size_t request_number) {
    connection->asked = request_number;
    connection->filled = 0;
    if (send(connection->fd, request, sizeof request - 1, MSG_NOSIGNAL) != sizeof request - 1)
        fail("cannot send: %m");
}

/* Reads what has come; tells whether the answer is there as a whole. */
static int answered(struct connection *connection) {
    ssize_t got = recv(connection->fd, connection->answer + connection->filled,
                       BUFFER - connection->filled, 0);
    if (got <= 0)
        fail(got == 0 ? "the server closed a connection" : "cannot receive: %m");
    connection->filled += (size_t)got;
    connection->answer[connection->filled] = 0;
    char *end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL)
        return 0;
    char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (strncmp(connection->answer, "HTTP/1.1 200 ", 13) != 0 || length == NULL || length > end)
        fail("not a 200 with a Content-Length: %.60s", connection->answer);
    size_t whole = (size_t)(end + 4 - connection->answer) + strtoul(length + 17, NULL, 10);
    if (connection->filled > whole || whole > BUFFER)
        fail("an answer is longer than expected");
    return connection->filled == whole;
}

/* CPU time of this process, ns. */
static ns used(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000LL +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000LL;
}

static int by_size(const void *left, const void *right) {
    ns a = *(const ns *)left, b = *(const ns *)right;
    return (a > b) - (a < b);
}

static ns quantile(const ns *sorted, size_t count, double share) {
    return sorted[(size_t)(share * (double)(count - 1))];
}

/* The median of the windows' 99th percentiles. Sorts the latencies within each window. */
static ns typical_p99(const ns *due, ns *latency, size_t count) {
    ns *found = malloc((size_t)((due[count - 1] - due[0]) / WINDOW + 1) * sizeof *found);
    size_t windows = 0, first = 0;
    for (size_t i = 1; i < count; i++)
        if (due[i] - due[first] >= WINDOW) { /* what is left of a window at the end does not count */
            qsort(latency + first, i - first, sizeof *latency, by_size);
            found[windows++] = quantile(latency + first, i - first, 0.99);
            first = i;
        }
    if (windows == 0)
        fail("there was no time for a window");
    qsort(found, windows, sizeof *found, by_size);
    ns median = quantile(found, windows, 0.5);
    free(found);
    return median;
}

int main(int argc, char **argv) {
    if (argc != 5)
        fail("usage: openload PORT REQUESTS_PER_SECOND SECONDS CONNECTIONS");
    double rate = atof(argv[2]);
    int port = atoi(argv[1]), connections = atoi(argv[4]), poller = epoll_create1(0);
    size_t total = (size_t)(rate * atof(argv[3])), asked = 0, done = 0;
    if (total < 100 || connections < 1)
        fail("too few requests or connections");
    struct connection *all = calloc((size_t)connections, sizeof *all);
    struct connection **idle = malloc((size_t)connections * sizeof *idle); /* a ring, so that all are used */
    struct epoll_event events[256];
    ns *due = schedule(rate, total), *latency = malloc(total * sizeof *latency);
    size_t first = total / 10, idle_from = 0, idle_count = (size_t)connections;
    for (int i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        all[i].fd = connect_to(port);
        epoll_ctl(poller, EPOLL_CTL_ADD, all[i].fd, &event);
        idle[i] = &all[i];
    }
    ns start = now(), used_before = used(), end = due[total - 1] + PATIENCE;
    while (done < total) {
        ns moment = now() - start;
        if (moment > end)
            fail("%zu of %zu requests are not answered", total - done, total);
        while (asked < total && due[asked] <= moment && idle_count > 0) {
            ask(idle[idle_from], asked++);
            idle_from = (idle_from + 1) % (size_t)connections;
            idle_count--;
        }
        int ready = epoll_wait(poller, events, 256, 0);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (!answered(connection))
                continue;
            latency[connection->asked] = now() - start - due[connection->asked];
            idle[(idle_from + idle_count++) % (size_t)connections] = connection;
            done++;
        }
    }
    double away = 1 - (double)(used() - used_before) / (double)(now() - start);
    ns typical = typical_p99(due + first, latency + first, total - first);
    ns *counted = latency + first;
    size_t count = total - first;
    qsort(counted, count, sizeof *counted, by_size);
    printf("{\"requests\": %zu, \"away\": %.3f, \"typical_p99\": %.1f", count, away, (double)typical / 1000);
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++)
        printf(", \"%s\": %.1f", quantiles[i].name,
               (double)quantile(counted, count, quantiles[i].share) / 1000);
    puts("}");
    return 0;
}

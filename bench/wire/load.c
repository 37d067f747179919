// A load generator: many connections, one request after another on each, everything counted.
//
//     load PORT PATH BODY CONNECTIONS SECONDS [HEADER...]
//
// One thread, epoll, HTTP/1.1 with keep-alive on loopback. BODY is a file; each request sends it as it is, but for eight
// "#" in it, in whose place stands the number of the request, so that no two are alike. Runs for
// SECONDS (0: until every connection has had one whole answer) and prints one JSON object; times in microseconds.
// Chunks are counted by the marks "@NANOSECONDS " that the engine puts into them, and timed by them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ = 1 << 18, EVENTS = 512, TAIL = 64 };

typedef struct {
    int fd, busy, head_done, chunked, status, close_after, mark_digits;
    size_t sent, left;          // bytes of the request that are sent; of the body or of a chunk that are to come
    int state, in_mark;         // of the chunked framing: 0 size, 1 data, 2 line end, 3 trailer
    uint64_t begun, mark;
    char head[4096];
    size_t head_length;
    int first_seen, last_chunk;
} conn;

typedef struct {
    uint32_t *values;
    size_t count, capacity;
} series;

static char *wire, *number;   // the request; where its number stands in it, NULL if nowhere
static size_t wire_length;
static uint16_t port;
static int poller;
static uint64_t stop_at;
static long requests, errors, chunks, reads, bytes;
static series whole, first, delays;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note(series *s, uint64_t nanoseconds) {
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? 2 * s->capacity : 65536;
        s->values = realloc(s->values, s->capacity * sizeof *s->values);
    }
    s->values[s->count++] = nanoseconds > 4000000000000ull ? UINT32_MAX : (uint32_t)(nanoseconds / 100);
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, series *s) {
    qsort(s->values, s->count, sizeof *s->values, ascending);
    printf(",\"%s\":{\"count\":%zu", name, s->count);
    static const struct { const char *name; double share; } RANKS[] = {{"p50", .5}, {"p90", .9}, {"p99", .99}, {"max", 1}};
    for (size_t i = 0; i < 4 && s->count; i++)
        printf(",\"%s\":%.1f", RANKS[i].name, s->values[(size_t)((double)(s->count - 1) * RANKS[i].share)] / 10.0);
    printf("}");
}

static void connect_to(conn *c) {
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) {
        perror("connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event);
}

static void begin(conn *c) {
    c->busy = 1;
    c->head_done = c->chunked = c->state = c->status = c->close_after = c->first_seen = c->in_mark = 0;
    c->head_length = c->left = 0;
    c->begun = now();
    if (number) {
        static uint64_t serial;
        char digits[24];
        if (!serial) serial = now() / 1000;     // what an earlier run has sent is another's too
        snprintf(digits, sizeof digits, "%08u", (unsigned)(++serial % 100000000u));
        memcpy(number, digits, 8);
    }
    for (size_t sent = 0; sent < wire_length;) {    // blocking: a request is small or its reader is the subject
        ssize_t n = send(c->fd, wire + sent, wire_length - sent, MSG_NOSIGNAL);
        if (n < 0) break;
        sent += (size_t)n;
    }
}

static void finish(conn *c, int failed) {
    c->busy = 0;
    if (failed || c->status != 200) {
        errors++;
        if (errors == 1) fprintf(stderr, "status %d, head: %.*s\n", c->status, (int)c->head_length, c->head);
    } else {
        requests++;
        note(&whole, now() - c->begun);
    }
    int again = stop_at && now() < stop_at;
    if (failed || c->close_after) {
        close(c->fd);
        c->fd = -1;
        if (again) connect_to(c);
    }
    if (again) begin(c);
}

// Reads marks ("@" and digits) in the bytes of a body, which may be cut anywhere.
static void scan(conn *c, const char *data, size_t length, uint64_t t) {
    if (!c->first_seen) {
        const char *mark = memchr(data, '@', length);
        if (mark) {
            c->first_seen = 1;
            note(&first, t - c->begun);
        }
    }
    const char *stop = data + length;
    while (data < stop) {
        if (!c->in_mark) {
            data = memchr(data, '@', (size_t)(stop - data));
            if (!data) return;
            data++;
            c->in_mark = 1;
            c->mark = 0;
            c->mark_digits = 0;
        }
        for (; data < stop && *data >= '0' && *data <= '9'; data++, c->mark_digits++) c->mark = c->mark * 10 + (uint64_t)(*data - '0');
        if (data == stop) return;
        c->in_mark = 0;
        if (c->mark_digits > 9) {
            chunks++;
            note(&delays, t > c->mark ? t - c->mark : 0);
        }
    }
}

static int head(conn *c, const char **data, size_t *length) {
    size_t room = sizeof c->head - 1 - c->head_length, take = *length < room ? *length : room;
    memcpy(c->head + c->head_length, *data, take);
    c->head[c->head_length + take] = 0;
    char *blank = strstr(c->head, "\r\n\r\n");
    if (!blank) {
        c->head_length += take;
        *data += take;
        *length -= take;
        return room == take ? -1 : 0;
    }
    size_t used = (size_t)(blank + 4 - c->head) - c->head_length;
    c->head_length += used;
    *data += used;
    *length -= used;
    blank[2] = 0;
    c->head_done = 1;
    c->status = atoi(c->head + 9);
    const char *declared = strcasestr(c->head, "\ncontent-length:");
    c->chunked = strcasestr(c->head, "\ntransfer-encoding: chunked") != NULL;
    c->close_after = strcasestr(c->head, "\nconnection: close") != NULL;
    c->left = declared ? strtoul(declared + 16, NULL, 10) : 0;
    return 0;
}

// Reads the framing of a chunked body; 1 at its end, -1 if it is broken.
static int framed(conn *c, const char *data, size_t length, uint64_t t) {
    while (length) {
        if (c->state == 1) {
            size_t take = c->left < length ? c->left : length;
            scan(c, data, take, t);
            data += take;
            length -= take;
            c->left -= take;
            if (!c->left) c->state = 2;
            continue;
        }
        char letter = *data++;
        length--;
        if (c->state == 0 && letter == '\n') {
            c->last_chunk = c->left == 0;
            c->state = c->last_chunk ? 3 : 1;
        } else if (c->state == 0 && letter != '\r') {
            int digit = letter >= 'a' ? letter - 'a' + 10 : letter >= 'A' ? letter - 'A' + 10 : letter - '0';
            if (digit < 0 || digit > 15) return -1;
            c->left = c->left * 16 + (size_t)digit;
        } else if (c->state == 2 && letter == '\n') {
            c->state = 0;
            c->left = 0;
        } else if (c->state == 3 && letter == '\n') {
            return 1;
        }
    }
    return 0;
}

static void readable(conn *c) {
    static char buffer[READ];
    ssize_t got = recv(c->fd, buffer, READ, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return c->busy ? finish(c, 1) : (void)(close(c->fd), c->fd = -1);
    uint64_t t = now();
    const char *data = buffer;
    size_t length = (size_t)got;
    reads++;
    bytes += got;
    if (!c->busy) return;
    if (!c->head_done && head(c, &data, &length) < 0) return finish(c, 1);
    if (!c->head_done) return;
    if (c->chunked) {
        int ended = framed(c, data, length, t);
        if (ended) finish(c, ended < 0);
        return;
    }
    size_t take = length < c->left ? length : c->left;
    scan(c, data, take, t);
    c->left -= take;
    if (!c->left) finish(c, 0);
}

static char *body_of(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *body = malloc(*length + 1);
    if (fread(body, 1, *length, file) != *length) exit(1);
    fclose(file);
    return body;
}

int main(int count, char **arguments) {
    if (count < 6) return 2;
    port = (uint16_t)atoi(arguments[1]);
    size_t length;
    char *body = body_of(arguments[3], &length);
    int connections = atoi(arguments[4]);
    double seconds = atof(arguments[5]);
    wire = malloc(length + 8192);
    int n = sprintf(wire, "POST %s HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n", arguments[2], port, length);
    for (int i = 6; i < count; i++) n += sprintf(wire + n, "%s\r\n", arguments[i]);
    n += sprintf(wire + n, "\r\n");
    memcpy(wire + n, body, length);
    wire_length = (size_t)n + length;
    number = memmem(wire + n, length, "########", 8);
    poller = epoll_create1(0);
    conn *all = calloc((size_t)connections, sizeof *all);
    uint64_t started = now();
    stop_at = seconds > 0 ? started + (uint64_t)(seconds * 1e9) : 0;
    for (int i = 0; i < connections; i++) {
        connect_to(&all[i]);
        begin(&all[i]);
    }
    struct epoll_event events[EVENTS];
    int busy = connections;
    while (busy) {
        int found = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < found; i++) readable(events[i].data.ptr);
        if (found == 0 && stop_at && now() > stop_at + 60000000000ull) break;   // an answer that never ends
        busy = 0;
        if (!stop_at || now() >= stop_at)
            for (int i = 0; i < connections; i++) busy += all[i].busy;
        else
            busy = 1;
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"seconds\":%.6f,\"cpu\":%.6f,\"requests\":%ld,\"errors\":%ld,\"unfinished\":%d,\"chunks\":%ld,\"reads\":%ld,\"bytes\":%ld",
           (double)(now() - started) / 1e9, cpu, requests, errors, busy, chunks, reads, bytes);
    print("whole", &whole);
    print("first", &first);
    print("delay", &delays);
    puts("}");
}

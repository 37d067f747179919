// A fake engine: answers chats in SGLang's words at a few microseconds each, so that it is never the bottleneck.
//
//     engine PORT [ANSWERS]
//
// One thread, epoll, HTTP/1.1 with keep-alive on loopback. GET /_bench?tokens=N&gap=US&first=US changes what later
// chats get: N chunks, US microseconds apart, the first one US after the request. A plain chat gets its whole answer
// after `first`. Each chunk says when it was sent ("@NANOSECONDS " on the monotonic clock), so that its reader knows
// how long it was under way. The same path tells how many chats and chunks there were. ANSWERS holds replies to requests that hold certain texts (bench/answers.py writes it).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FD = 65536, READ = 65536, EVENTS = 512, CHUNK = 1024 };

typedef struct conn {
    int fd, streaming, tokens_left, plain;
    uint64_t due;               // when the next chunk is to be sent; 0: nothing is under way
    char *in;                   // what has been read of the request
    size_t length, capacity;
    const char *reply;          // pieces of a canned answer that are left, NULL if none
    struct conn *next, *before; // in the queue of those that wait for their time
} conn;

static conn *conns[MAX_FD];
static conn queue[2];           // [0]: waits for a first chunk, [1]: for a further one. Sorted, because each has one delay
static int tokens = 64, poller;
static long calls, sent_chunks; // chats that came, chunks of streams that left
static uint64_t gap = 20000000, first_gap = 0;
static char *canned;            // "needle\nPIECES\npiece bytes..." records, see bench/answers.py
static size_t canned_length;

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void unqueue(conn *c) {
    if (!c->next) return;
    c->before->next = c->next;
    c->next->before = c->before;
    c->next = c->before = NULL;
}

static void enqueue(conn *head, conn *c, uint64_t due) {
    unqueue(c);
    c->due = due;
    conn *at = head->before;    // from the end: nearly always the place is there
    while (at != head && at->due > due) at = at->before;
    c->before = at;
    c->next = at->next;
    at->next->before = c;
    at->next = c;
}

static void end(conn *c) {
    unqueue(c);
    close(c->fd);
    conns[c->fd] = NULL;
    free(c->in);
    free(c);
}

static int put(conn *c, const char *data, size_t length) {
    while (length) {
        ssize_t sent = send(c->fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) {      // a reader this slow is no subject of a benchmark: wait for it
            usleep(200);
            continue;
        }
        if (sent < 0) return -1;
        data += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static const char HEAD[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
#define EVENT "data: {\"id\":\"397fde97c17d401389bc93e7019e8b1f\",\"object\":\"chat.completion.chunk\",\"created\":1795403411,\"model\":\"bench\","
#define USAGE "\"usage\":{\"prompt_tokens\":412,\"total_tokens\":%d,\"completion_tokens\":%d,\"prompt_tokens_details\":{\"cached_tokens\":384},\"reasoning_tokens\":0,\"completion_tokens_details\":null}}"

static size_t framed(char *to, const char *body, size_t length) {
    size_t n = (size_t)sprintf(to, "%zx\r\n", length);
    memcpy(to + n, body, length);
    memcpy(to + n + length, "\r\n", 2);
    return n + length + 2;
}

static int plain(conn *c) {
    char body[CHUNK * 4], out[CHUNK * 5];
    int n = sprintf(body, "{\"id\":\"1a44ce85cf4d426e820d7f3a03efd1e1\",\"object\":\"chat.completion\",\"created\":1795403410,\"model\":\"bench\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"천천히 깊게 숨을 쉬면서 준비한 첫 문장을 떠올려 보세요. 면접관은 당신의 편입니다. 모르는 질문에는 아는 데까지 말해도 됩니다.\",\"reasoning_content\":null},\"logprobs\":null,\"finish_reason\":\"stop\",\"matched_stop\":2}]," USAGE, 412 + tokens, tokens);
    int m = sprintf(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s", n, body);
    return put(c, out, (size_t)m);
}

static int canned_whole(conn *c) {  // "LENGTH\n" and so many bytes: an answer in one piece
    char *data, head[CHUNK];
    size_t length = strtoul(c->reply, &data, 10);
    c->reply = NULL;
    int n = sprintf(head, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", length);
    char *out = malloc((size_t)n + length);
    memcpy(out, head, (size_t)n);
    memcpy(out + n, data + 1, length);
    int failed = put(c, out, (size_t)n + length);
    free(out);
    return failed;
}

static int piece(conn *c) {         // the next chunk of a stream that the engine makes up
    char body[CHUNK], out[CHUNK * 8];
    size_t n = 0;
    if (c->streaming == 1) {        // SGLang sends headers and role with the first token
        memcpy(out, HEAD, sizeof HEAD - 1);
        n = sizeof HEAD - 1;
        static const char ROLE[] = EVENT "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":null,\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null,\"matched_stop\":null}]}\n\n";
        n += framed(out + n, ROLE, sizeof ROLE - 1);
        c->streaming = 2;
    }
    int length = sprintf(body, EVENT "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":null,\"content\":\"질문 @%llu \"},\"logprobs\":null,\"finish_reason\":null,\"matched_stop\":null}]}\n\n", (unsigned long long)now());
    n += framed(out + n, body, (size_t)length);
    if (--c->tokens_left == 0) {
        static const char STOP[] = EVENT "\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":null},\"logprobs\":null,\"finish_reason\":\"stop\",\"matched_stop\":2}]}\n\n";
        n += framed(out + n, STOP, sizeof STOP - 1);
        length = sprintf(body, EVENT "\"choices\":[]," USAGE "\n\ndata: [DONE]\n\n", 412 + tokens, tokens);
        n += framed(out + n, body, (size_t)length);
        n += (size_t)sprintf(out + n, "0\r\n\r\n");
    }
    return put(c, out, n);
}

static int canned_piece(conn *c) {  // "LENGTH\n" and so many bytes; a length of 0 ends the answer
    char *data;
    size_t length = strtoul(c->reply, &data, 10);
    data++;
    char *out = malloc(length + sizeof HEAD + 64);
    size_t n = 0;
    if (c->streaming == 1) {
        memcpy(out, HEAD, sizeof HEAD - 1);
        n = sizeof HEAD - 1;
        c->streaming = 2;
    }
    n += framed(out + n, data, length);
    c->reply = data + length;
    if (strncmp(c->reply, "0\n", 2) == 0) {
        n += (size_t)sprintf(out + n, "0\r\n\r\n");
        c->reply = NULL;
    }
    int failed = put(c, out, n);
    free(out);
    return failed;
}

static const char *find_canned(const char *body, size_t length) {
    for (const char *at = canned; at && at < canned + canned_length;) {
        const char *line = memchr(at, '\n', (size_t)(canned + canned_length - at));
        if (memmem(body, length, at, (size_t)(line - at))) return line + 1;
        for (at = line + 1; *at != '0';) {
            char *data;
            size_t skip = strtoul(at, &data, 10);
            at = data + 1 + skip;
        }
        at += 2;
    }
    return NULL;
}

static void step(conn *c) {         // its time has come
    unqueue(c);
    c->due = 0;
    sent_chunks += !c->plain;
    int failed = c->plain ? (c->reply ? canned_whole(c) : plain(c)) : c->reply ? canned_piece(c) : piece(c);
    if (failed) return end(c);
    int more = !c->plain && (c->reply || c->tokens_left > 0);
    if (more) enqueue(&queue[1], c, now() + gap);
}

static int json(conn *c, const char *body) {
    char out[CHUNK * 2];
    int n = sprintf(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", strlen(body), body);
    return put(c, out, (size_t)n);
}

static int number(const char *text, const char *name, int unchanged) {
    const char *at = strstr(text, name);
    return at ? atoi(at + strlen(name)) : unchanged;
}

static int get(conn *c, const char *head) {
    if (strstr(head, "GET /_bench")) {
        tokens = number(head, "tokens=", tokens);
        gap = (uint64_t)number(head, "gap=", (int)(gap / 1000)) * 1000;
        first_gap = (uint64_t)number(head, "first=", (int)(first_gap / 1000)) * 1000;
        char counted[96];
        sprintf(counted, "{\"calls\":%ld,\"chunks\":%ld}", calls, sent_chunks);
        return json(c, counted);
    }
    if (strstr(head, "GET /v1/loads"))
        return json(c, "{\"loads\":[{\"num_running_reqs\":0,\"num_waiting_reqs\":0,\"max_running_requests\":100000,\"token_usage\":0.1}]}");
    if (strstr(head, "GET /v1/models"))
        return json(c, "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":\"model\",\"created\":1795403409,\"owned_by\":\"sglang\",\"root\":\"bench\",\"parent\":null,\"max_model_len\":131072}]}");
    return json(c, "{\"status\":\"ok\",\"model_path\":\"bench\",\"served_model_name\":\"bench\",\"model_type\":\"qwen3\",\"is_generation\":true,\"tp_size\":1,\"dp_size\":1,\"max_total_num_tokens\":1000000,\"version\":\"0.5.23\"}");
}

// Answers one whole request at the beginning of what was read; how many bytes it took, 0 if it is not whole yet.
static ssize_t request(conn *c) {
    char *blank = memmem(c->in, c->length, "\r\n\r\n", 4);
    if (!blank) return 0;
    *blank = 0;
    const char *declared = strcasestr(c->in, "\ncontent-length:");
    size_t length = declared ? strtoul(declared + 16, NULL, 10) : 0, head = (size_t)(blank + 4 - c->in);
    *blank = '\r';
    if (c->length < head + length) return 0;
    if (strncmp(c->in, "POST", 4) != 0) {
        *blank = 0;
        int failed = get(c, c->in);
        return failed ? -1 : (ssize_t)(head + length);
    }
    *blank = 0;
    int chat = strstr(c->in, "/chat/completions") != NULL;
    *blank = '\r';
    if (!chat) return json(c, "{}") ? -1 : (ssize_t)(head + length);
    calls++;
    const char *body = blank + 4;
    c->plain = !memmem(body, length, "\"stream\":true", 13) && !memmem(body, length, "\"stream\": true", 14);
    c->streaming = 1;
    c->tokens_left = tokens;
    const char *most = memmem(body, length, "\"max_tokens\":", 13);
    if (most && atoi(most + 13) > 0 && atoi(most + 13) < tokens) c->tokens_left = atoi(most + 13);
    c->reply = find_canned(body, length);
    if (c->reply) c->tokens_left = 0;
    if (first_gap) enqueue(&queue[0], c, now() + first_gap);
    else step(c);
    return (ssize_t)(head + length);
}

static void readable(conn *c) {
    if (c->length + READ > c->capacity) {
        c->capacity = c->length + READ + 1;
        c->in = realloc(c->in, c->capacity);
    }
    ssize_t got = recv(c->fd, c->in + c->length, c->capacity - c->length - 1, 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return end(c);
    c->length += (size_t)got;
    int fd = c->fd;
    while (conns[fd] == c && c->length && !c->due) {
        ssize_t used = request(c);
        if (conns[fd] != c) return;
        if (used < 0) return end(c);
        if (used == 0) break;
        c->length -= (size_t)used;
        memmove(c->in, c->in + used, c->length);
    }
    if (!c->length && c->capacity > 2 * READ) {
        free(c->in);
        c->in = NULL;
        c->capacity = 0;
    }
}

static void arrive(int listener) {
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        int yes = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        conns[fd] = c;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    }
}

static int wait_for(void) {         // milliseconds until somebody's time comes, rounded down
    uint64_t soonest = UINT64_MAX, t = now();
    for (int i = 0; i < 2; i++)
        if (queue[i].next != &queue[i] && queue[i].next->due < soonest) soonest = queue[i].next->due;
    if (soonest == UINT64_MAX) return -1;
    return soonest <= t ? 0 : (int)((soonest - t) / 1000000);
}

int main(int count, char **arguments) {
    if (count < 2) return 2;
    if (count > 2) {
        int file = open(arguments[2], O_RDONLY);
        struct stat about;
        if (file < 0 || fstat(file, &about)) return perror(arguments[2]), 1;
        canned_length = (size_t)about.st_size;
        canned = mmap(NULL, canned_length + 1, PROT_READ, MAP_PRIVATE, file, 0);
    }
    for (int i = 0; i < 2; i++) queue[i].next = queue[i].before = &queue[i];
    poller = epoll_create1(0);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return perror("listen"), 1;
    struct epoll_event events[EVENTS] = {{.events = EPOLLIN, .data.ptr = NULL}};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, events);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int found = epoll_wait(poller, events, EVENTS, wait_for());
        for (int i = 0; i < found; i++) {
            if (events[i].data.ptr) readable(events[i].data.ptr);
            else arrive(listener);
        }
        for (int i = 0; i < 2; i++)
            while (queue[i].next != &queue[i] && queue[i].next->due <= now()) step(queue[i].next);
    }
}

/* A site for tests: answers by a table, says on stdout what was asked.
 *
 *   httpd TABLE     lines of "PREFIX STATUS FILE [HEADER: VALUE]"; the first PREFIX of the request's
 *                   target counts, FILE "-" is an empty body. Says "PORT" first. The table is read anew
 *                   for each request. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LINE_SIZE = 2048, BODY_SIZE = 8 << 20 };

static size_t read_body(const char *file, char *body)
{
    FILE *f = strcmp(file, "-") == 0 ? NULL : fopen(file, "rb");
    size_t n = f ? fread(body, 1, BODY_SIZE, f) : 0;
    if (f)
        fclose(f);
    return n;
}

static void answer(int fd, const char *table, const char *target)
{
    static char body[BODY_SIZE];
    static char line[LINE_SIZE], prefix[LINE_SIZE], file[LINE_SIZE], head[2 * LINE_SIZE];
    FILE *f = fopen(table, "r");
    int status = 404;
    const char *header = "";
    size_t n = 0;
    while (f && fgets(line, sizeof line, f)) {
        int used = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%2047s %d %2047s %n", prefix, &status, file, &used) < 3 ||
            strncmp(target, prefix, strlen(prefix)) != 0) {
            status = 404;
            continue;
        }
        n = read_body(file, body);
        header = line + used;
        break;
    }
    if (f)
        fclose(f);
    int size =
        snprintf(head, sizeof head, "HTTP/1.1 %d Answer\r\nContent-Length: %zu\r\n%s%s\r\n",
                 status, n, header, header[0] ? "\r\n" : "");
    if (write(fd, head, (size_t)size) == size && n > 0)
        (void)!write(fd, body, n);
}

static void serve(int fd, const char *table)
{
    static char head[LINE_SIZE * 8];
    char target[LINE_SIZE] = "";
    size_t n = 0;
    while (n + 1 < sizeof head) {
        ssize_t got = read(fd, head + n, sizeof head - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        head[n] = '\0';
        if (strstr(head, "\r\n\r\n"))
            break;
    }
    head[n] = '\0';
    if (sscanf(head, "GET %2047s", target) == 1) {
        const char *agent = strstr(head, "User-Agent: ");
        printf("%s %.*s\n", target, agent ? (int)strcspn(agent, "\r") : 0, agent ? agent : "");
        answer(fd, table, target);
    }
    shutdown(fd, SHUT_WR);
    while (read(fd, head, sizeof head) > 0)
        ;
    close(fd);
}

int main(int argc, char **argv)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (argc < 2 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 16) ||
        getsockname(fd, (struct sockaddr *)&a, &size))
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("%d\n", ntohs(a.sin_port));
    for (;;) {
        int connection = accept(fd, NULL, NULL);
        if (connection >= 0)
            serve(connection, argv[1]);
    }
}
